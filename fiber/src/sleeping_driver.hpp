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
  // The futex word: 1 from wake() until the poll() that it ends takes it back.
  atomic<std::uint32_t> woken_{0};
};

}  // namespace weft::detail
