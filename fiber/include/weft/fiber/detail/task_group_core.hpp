// The part of a task group that does not depend on what its fibers return. Not for users.
//
// A fiber that has failed is kept until the group goes, in its control block: that holds the
// exception, and reports it then if nobody has retrieved it.
// Threads: any; the owner waits until no fiber and no visitor is left before it goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <system_error>
#include <vector>

#include <weft/fiber/detail/co_wait.hpp>
#include <weft/fiber/detail/fiber_owner.hpp>
#include <weft/fiber/detail/spin_lock.hpp>
#include <weft/fiber/detail/waiter.hpp>

namespace weft::detail {

class task_group_core final : public fiber_owner {
public:
  task_group_core() = default;
  ~task_group_core();

  void add(control_block& block) noexcept override;
  void start(control_block& block) noexcept override;
  void on_failure(control_block& block) noexcept override;
  void remove(control_block& block) noexcept override;
  void remove_vanished(control_block& block) noexcept override;

  // Keeps the group from going while a call from outside it is inside: a fiber that ends, whatever
  // made it end, may be the last.
  class visit {
  public:
    explicit visit(task_group_core& group) noexcept : group_(group) { group.enter(); }

    // Of one that has entered.
    visit(task_group_core& group, std::adopt_lock_t /*tag*/) noexcept : group_(group) {}

    visit(const visit&) = delete;
    visit& operator=(const visit&) = delete;

    ~visit() { group_.leave(); }

  private:
    task_group_core& group_;
  };

  void request_cancel() noexcept;
  bool cancel_requested() const noexcept;
  std::size_t size() const noexcept;

  // Waits until no fiber is left. If the caller is cancelled, already if `ec` is set, or
  // meanwhile, the fibers are too, and `ec` says why. The caller is a visitor.
  void wait_for_all(std::error_code& ec) { wait_for(who::fibers, ec); }

  // The same, and until no visitor is left.
  void wait_to_go(std::error_code& ec) { wait_for(who::fibers_and_visitors, ec); }

  // Whether the caller is a fiber of the group.
  bool contains_caller() const noexcept;

  // The exception of the fiber that failed first, or null.
  std::exception_ptr first_error() const noexcept;
  std::vector<std::exception_ptr> errors() const;
  // As if the caller had asked for them.
  void retrieve_errors() const noexcept;

  // What join() throws once it has waited, with this error.
  void throw_outcome(const std::error_code& ec) const;

private:
  friend class co_join_group;

  enum class who : std::uint8_t { fibers, fibers_and_visitors };

  void enter() noexcept;
  void leave() noexcept;
  void wait_for(who awaited, std::error_code& ec);

  // With the lock held.
  bool has(who awaited) const noexcept {
    return size_ != 0 || (awaited == who::fibers_and_visitors && visitors_ != 0);
  }

  control_block* take_uncancelled() noexcept;
  void unlink(control_block& block) noexcept;

  mutable spin_lock lock_;  // guards the rest
  std::size_t size_ = 0;
  std::size_t visitors_ = 0;
  bool cancelled_ = false;
  // Linked by group_next and group_previous: the fibers that have not been asked to end.
  control_block* uncancelled_ = nullptr;
  // Linked by group_next: those that have failed, in this order, a share of each.
  control_block* first_failed_ = nullptr;
  control_block* last_failed_ = nullptr;
  wait_list waiting_;
};

// What a coroutine awaits that joins a group, as task_group::join(). Needs no memory: there is no
// leaving a group that is not empty.
class [[nodiscard]] co_join_group final : public co_operation<co_join_group> {
public:
  // Null throws the error, else what the fiber that failed first has thrown.
  co_join_group(task_group_core& group, std::error_code* to) noexcept : group_(group), to_(to) {}

  // If there is a `failure`, cancels the fibers first, and rethrows it once they have ended.
  co_join_group(task_group_core& group, std::exception_ptr& failure) noexcept
      : group_(group), failure_(failure ? &failure : nullptr) {}

  bool start() noexcept;
  bool go_on() noexcept;
  void await_resume() const;

private:
  bool wait() noexcept;
  void end_wait() noexcept;

  task_group_core& group_;
  std::error_code* const to_ = nullptr;
  std::exception_ptr* const failure_ = nullptr;
  std::error_code error_;
  bool waiting_ = false;
  list_suspension wait_;
};

}  // namespace weft::detail
