// The driver of a worker that waits for nothing but time and wake(): a futex.
#pragma once

#include <cstdint>

#include <weft/fiber/detail/atomic.hpp>
#include <weft/fiber/driver.hpp>

namespace weft::detail {

class sleeping_driver final : public driver {
public:
  void poll(clock::time_point deadline) override;
  void wake() noexcept override;

  bool has_waiters() const noexcept override { return false; }

  void after_fork() override {}

private:
  const std::uint32_t* word() const noexcept {
    return reinterpret_cast<const std::uint32_t*>(&state_);
  }

  // The futex word: awake, asleep in poll(), or woken, until the poll() that wake() ends returns.
  atomic<std::uint32_t> state_{0};
};

}  // namespace weft::detail
