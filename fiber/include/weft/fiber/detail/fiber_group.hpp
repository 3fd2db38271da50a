// Fibers that somebody has to wait for before leaving: a list in their control blocks. Not for
// users.
//
// The owner must see it empty before it goes.
// Threads: the worker only.
#pragma once

#include <cstddef>
#include <system_error>
#include <utility>

#include <weft/fiber/co/spawn.hpp>
#include <weft/fiber/detail/co_wait.hpp>
#include <weft/fiber/detail/fiber_owner.hpp>
#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/fiber.hpp>

namespace weft::detail {

class fiber_group final : public fiber_owner {
public:
  fiber_group() = default;
  ~fiber_group();

  // Spawns a fiber into the group, without a handle, or a task of coroutines. Errors as
  // weft::spawn().
  template <class Function>
  void spawn(const spawn_options& options, Function&& function, std::error_code& ec) {
    if constexpr (fiber_function<Function>) {
      control_block* const block =
          spawn_at({.group = this}, options, std::forward<Function>(function), ec);
      if (block != nullptr) detach_fiber(*block);
    } else {
      co::detail::start_task({.group = this}, options, std::forward<Function>(function), ec)
          .detach();
    }
  }

  std::size_t size() const noexcept { return size_; }

  void cancel_all() noexcept;
  // Waits until the last fiber has ended; false when `deadline` passed or the caller was cancelled
  // first.
  bool wait_empty(deadline_clock::time_point deadline, cancellation mode);

  void add(control_block& block) noexcept override;

  void start(control_block& /*block*/) noexcept override {}

  // Nobody else will see it: it is reported as unhandled.
  void on_failure(control_block& /*block*/) noexcept override {}

  void remove(control_block& block) noexcept override;

  void remove_vanished(control_block& block) noexcept override { remove(block); }

private:
  friend class co_wait_empty;

  control_block* first_ = nullptr;
  std::size_t size_ = 0;
  wait_queue waiting_;
};

// wait_empty() of a coroutine, whose cancellation is ignored. Needs no memory: there is no leaving
// a group that is not empty.
class [[nodiscard]] co_wait_empty final : public co_operation<co_wait_empty> {
public:
  co_wait_empty(fiber_group& group, deadline_clock::time_point deadline) noexcept
      : group_(group), deadline_(deadline) {}

  bool start() noexcept;
  bool go_on() noexcept;

  bool await_resume() const noexcept { return group_.size() == 0; }

private:
  wake_reason end_wait() noexcept;

  fiber_group& group_;
  const deadline_clock::time_point deadline_;
  list_suspension wait_;
};

}  // namespace weft::detail
