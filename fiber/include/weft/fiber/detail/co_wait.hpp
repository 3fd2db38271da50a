// How a coroutine waits: it suspends until somebody ends its wait. What detail/wait.hpp is for
// tasks that block. Used by the libraries above fiber/; not for users.
//
// Threads: coroutines of any worker, each for itself.
#pragma once

#include <coroutine>
#include <source_location>
#include <system_error>
#include <type_traits>
#include <utility>

#include <weft/fiber/detail/continuation.hpp>
#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/detail/wait_note.hpp>

namespace weft::detail {

// The wait of the running task, which has begun and is published, goes on in `then`. False when it
// has ended already. Either way end_suspension() with the same deadline says how it has ended.
bool suspend_until(continuation& then, deadline_clock::time_point deadline,
                   cancellation mode) noexcept;
wake_reason end_suspension(deadline_clock::time_point deadline) noexcept;

// The running task has made so many calls that it gives way, as by give_way(): it is ready, and
// goes on in `then` after those that are so already.
void suspend_ready(continuation& then) noexcept;

// As spend_budget(); true when the caller has to suspend instead of giving way itself.
inline bool must_give_way() noexcept {
  worker_view* const worker = running_worker;
  return --worker->budget == 0;
}

// Whether `object` is a part of one of the coroutines that the running task is in: not of a
// function that one has called, which may block, nor on the heap beside them.
bool in_frame_of_coroutine(const void* object) noexcept;

// As refuse_if_cancelled(), but the caller gives way.
bool refuse_coroutine_now(std::error_code& ec) noexcept;

inline bool refuse_coroutine(std::error_code& ec) noexcept {
  return may_be_cancelled(*running_worker) && refuse_coroutine_now(ec);
}

// The wait for one place in a list, as wait() is for tasks that block.
class list_suspension {
public:
  // True when the task has to suspend; `held` has been given up in any case. `handed` as wait().
  template <class Lock>
  bool begin(continuation& then, wait_list& list, wait_node& node, Lock& held,
             deadline_clock::time_point deadline, cancellation mode, waiter* handed = nullptr) {
    deadline_ = deadline;
    node.owner = &begin_wait();
    list.push_back(node);
    held.unlock();
    resume(handed);
    return suspend_until(then, deadline, mode);
  }

  // Once it goes on.
  template <class Lock>
  wake_reason end(wait_list& list, wait_node& node, Lock& lock) {
    const wake_reason reason = end();
    if (must_withdraw(reason)) withdraw(list, node, lock);
    return reason;
  }

  // The same; if it must_withdraw(), the caller does it.
  wake_reason end() noexcept { return end_suspension(deadline_); }

private:
  deadline_clock::time_point deadline_ = no_deadline;
};

// What co_await takes for a wait of weft's own. `Step` has
//   bool start()    begins; true when the operation is complete, false when the task has suspended
//                   with this as its continuation
//   bool go_on()    the same once the task has been woken
template <class Step>
class co_operation : public continuation {
public:
  bool await_ready() noexcept { return static_cast<Step*>(this)->start(); }

  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> /*waiting*/) const noexcept {
    static_assert(
        std::is_base_of_v<co_frame, Promise>,
        "weft's operations are awaited in coroutines of weft: co::task and its relatives");
  }

protected:
  co_operation() noexcept : continuation(&co_operation::wake_up) {}

  ~co_operation() = default;

private:
  static void wake_up(continuation& self) noexcept {
    auto& step = static_cast<Step&>(self);
    if (step.Step::go_on()) step.frame->self.resume();
  }
};

// Where the error of an operation goes: to the caller's code, or into an exception that says
// `what`.
struct error_to {
  std::error_code* code = nullptr;
  const char* what = nullptr;

  explicit error_to(std::error_code& ec) noexcept : code(&ec) {}

  explicit error_to(const char* operation) noexcept : what(operation) {}
};

// The error of an operation on its way there. Made in place: to copy what was written a moment ago
// in other pieces costs a stall.
class co_error {
public:
  explicit co_error(error_to where) noexcept : to_(where.code), what_(where.what) {}

  std::error_code code;

  // For await_resume().
  void report() const {
    if (to_ != nullptr) {
      *to_ = code;
    } else if (code) {
      throw std::system_error(code, what_);
    }
  }

  // The same of a timed operation: that its own time is over is no exception. Returns whether all
  // is well.
  bool report_in_time() const {
    if (to_ != nullptr) {
      *to_ = code;
    } else {
      throw_unless_own_deadline(code, what_);
    }
    return !code;
  }

private:
  std::error_code* const to_;
  const char* const what_;
};

// When an operation that need not wait counts as a call after which the task may have to give way:
// before it takes what others may wait for, or after it.
enum class gives_way : bool { before, after };

// An operation that tries, and if it must, waits in one list, after which it is complete. `Step`
// has
//   bool try_now(std::error_code&)   true when it is complete; else the lock of the list is held
//   wait_list& list(), spin_lock& lock()
//   void withdraw(wait_node&)        takes the node out of the list if it is there, as withdraw()
//   void note() const                calls note_wait()
// If it is `Timed`, it returns whether all is well, and is no error when its own time is over.
template <class Step, gives_way When, bool Timed>
class co_list_operation : public co_operation<Step> {
public:
  bool start() noexcept {
    if (When == gives_way::before && must_give_way()) return come_back_for(phase::to_begin);
    return begin();
  }

  bool go_on() noexcept {
    if (phase_ == phase::to_begin) return begin();
    if (phase_ == phase::waiting) end_wait();
    return true;
  }

  auto await_resume() const {
    if constexpr (Timed) {
      return error_.report_in_time();
    } else {
      error_.report();
    }
  }

protected:
  co_list_operation(error_to error, deadline_clock::time_point deadline,
                    cancellation mode = cancellation::honoured) noexcept
      : error_(error), deadline_(deadline), mode_(mode) {}

  ~co_list_operation() = default;

  void withdraw(wait_node& node) noexcept { detail::withdraw(step().list(), node, step().lock()); }

private:
  enum class phase : std::uint8_t { to_begin, waiting, complete };

  Step& step() noexcept { return static_cast<Step&>(*this); }

  bool come_back_for(phase next) noexcept {
    phase_ = next;
    suspend_ready(*this);
    return false;
  }

  bool complete() noexcept {
    if (When == gives_way::after && must_give_way()) return come_back_for(phase::complete);
    return true;
  }

  bool begin() noexcept {
    if (mode_ == cancellation::honoured && refuse_coroutine(error_.code)) return complete();
    if (step().try_now(error_.code)) return complete();
    if (has_passed(deadline_)) {
      step().lock().unlock();
      error_.code = error_of(wake_reason::timed_out);
      return complete();
    }
    phase_ = phase::waiting;
    step().note();
    const bool suspended = wait_.begin(*this, step().list(), waiter_of_this_task().node,
                                       step().lock(), deadline_, mode_);
    if (!suspended) end_wait();
    return !suspended;
  }

  void end_wait() noexcept {
    const wake_reason reason = wait_.end();
    if (reason == wake_reason::ready) return;
    if (must_withdraw(reason)) step().withdraw(waiter_of_this_task().node);
    error_.code = error_of(reason);
  }

  co_error error_;
  const deadline_clock::time_point deadline_;
  const cancellation mode_;
  phase phase_ = phase::to_begin;
  list_suspension wait_;
};

// For coroutines of the libraries: waits in a list whose lock `held` is held, and which says why
// the wait has ended. In the node, the caller's, whoever ends it may find more than a waiter.
template <class Lock>
class co_wait final : public co_operation<co_wait<Lock>> {
public:
  co_wait(wait_list& list, Lock& held, deadline_clock::time_point deadline, cancellation mode,
          waiter* handed = nullptr) noexcept
      : co_wait(list, waiter_of_this_task().node, held, deadline, mode, handed) {}

  co_wait(wait_list& list, wait_node& node, Lock& held, deadline_clock::time_point deadline,
          cancellation mode, waiter* handed = nullptr) noexcept
      : list_(list), node_(node), lock_(held), deadline_(deadline), mode_(mode), handed_(handed) {}

  bool start() noexcept {
    return !wait_.begin(*this, list_, node_, lock_, deadline_, mode_, handed_);
  }

  bool go_on() noexcept { return true; }

  wake_reason await_resume() noexcept { return wait_.end(list_, node_, lock_); }

private:
  wait_list& list_;
  wait_node& node_;
  Lock& lock_;
  const deadline_clock::time_point deadline_;
  const cancellation mode_;
  waiter* const handed_;
  list_suspension wait_;
};

// Waits until `deadline` or cancellation: timed_out, cancelled or expired. The caller has seen that
// the task is not cancelled.
class co_pause final : public co_operation<co_pause> {
public:
  explicit co_pause(deadline_clock::time_point deadline) noexcept : deadline_(deadline) {}

  bool start() noexcept;

  bool go_on() noexcept { return true; }

  wake_reason await_resume() noexcept { return end_suspension(deadline_); }

private:
  const deadline_clock::time_point deadline_;
};

// Gives way when 64 operations have not had to wait.
class co_budget final : public co_operation<co_budget> {
public:
  co_budget() noexcept = default;

  bool start() noexcept {
    if (!must_give_way()) return true;
    suspend_ready(*this);
    return false;
  }

  bool go_on() noexcept { return true; }

  void await_resume() const noexcept {}
};

}  // namespace weft::detail
