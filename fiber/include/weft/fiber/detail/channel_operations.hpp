// What a coroutine awaits when it sends to a channel or receives from one. Not for users:
// channel.hpp includes it.
//
// Threads: the coroutine that awaits it.
#pragma once

#include <concepts>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include <weft/fiber/channel.hpp>
#include <weft/fiber/detail/channel_core.hpp>
#include <weft/fiber/detail/co_wait.hpp>
#include <weft/fiber/error.hpp>

namespace weft {

// `Step` has
//   channel_attempt attempt(channel_access&)   puts or takes
//   wait_list& side()                          where its like wait
template <std::move_constructible T>
template <class Step, class Slot>
class channel<T>::operation : public detail::co_operation<Step> {
public:
  bool start() noexcept {
    if (detail::refuse_coroutine(error_.code)) return complete();
    return begin(false);
  }

  bool go_on() noexcept {
    if (complete_) return true;
    reason_ = wait_.end(step().side(), *slot_, channel_.core_.lock);
    return end_wait() || begin(true);
  }

protected:
  operation(channel& of, detail::error_to error, time_point deadline) noexcept
      : channel_(of), error_(error), deadline_(deadline) {}

  ~operation() = default;

  void rethrow() {
    if (thrown_) std::rethrow_exception(std::move(thrown_));
  }

  channel& channel_;
  detail::co_error error_;
  std::optional<Slot> slot_;
  detail::wake_reason reason_ = detail::wake_reason::none;

private:
  Step& step() noexcept { return static_cast<Step&>(*this); }

  bool complete() noexcept {
    if (!detail::must_give_way()) return true;
    complete_ = true;
    detail::suspend_ready(*this);
    return false;
  }

  // Tries, and waits if it has to; `again`: as channel_access::enter_again().
  bool begin(bool again) noexcept {
    try {
      const bool refused = again && detail::refuse_coroutine(error_.code);
      detail::channel_access held{channel_.core_, again};
      const auto attempt = refused ? detail::channel_attempt::done : step().attempt(held);
      if (attempt == detail::channel_attempt::closed) {
        reason_ = detail::wake_reason::closed;
        step().on_closed();
      } else if (attempt == detail::channel_attempt::must_wait) {
        if (!detail::has_passed(deadline_)) return suspend(held);
        error_.code = errc::timed_out;
      }
      held.leave();
      return complete();
    } catch (...) {  // of T's move
      thrown_ = std::current_exception();
      return true;
    }
  }

  // With what `held` holds, which it gives up.
  bool suspend(detail::channel_access& held) noexcept {
    step().make_slot();
    if (held.suspend(wait_, *this, step().side(), *slot_, deadline_)) return false;
    reason_ = wait_.end(step().side(), *slot_, channel_.core_.lock);
    return end_wait() || begin(true);
  }

  // Whether the wait that has ended was the last.
  bool end_wait() noexcept {
    thrown_ = step().failure();
    if (thrown_) return true;
    if (reason_ == detail::wake_reason::ready && !slot_->done) return false;
    if (reason_ == detail::wake_reason::closed) {
      step().on_closed();
    } else {
      error_.code = detail::error_of(reason_);
    }
    return true;
  }

  const time_point deadline_;
  detail::list_suspension wait_;
  std::exception_ptr thrown_;
  bool complete_ = false;
};

template <std::move_constructible T>
template <class U, bool Timed>
class [[nodiscard]] channel<T>::sending final
    : public operation<sending<U, Timed>, detail::sender_slot<T>> {
  using base = operation<sending<U, Timed>, detail::sender_slot<T>>;

public:
  sending(channel& to, U&& value, detail::error_to error, time_point deadline = detail::no_deadline)
      : base(to, error, deadline),
        value_(static_cast<std::conditional_t<std::is_same_v<U, T>, T&, U&&>>(value)) {}

  detail::channel_attempt attempt(detail::channel_access& held) {
    return this->channel_.put(held, value_);
  }

  detail::wait_list& side() noexcept { return this->channel_.core_.senders; }

  void make_slot() noexcept { this->slot_.emplace(value_); }

  std::exception_ptr failure() const noexcept { return this->slot_->failure; }

  void on_closed() noexcept { this->error_.code = errc::closed; }

  auto await_resume() {
    this->rethrow();
    if constexpr (Timed) {
      return this->error_.report_in_time();
    } else {
      this->error_.report();
    }
  }

private:
  // The caller's own T, if that may be moved from, or one made of it.
  std::conditional_t<std::is_same_v<U, T>, T&, T> value_;
};

template <std::move_constructible T>
template <bool Timed>
class [[nodiscard]] channel<T>::receiving final
    : public operation<receiving<Timed>, detail::receiver_slot<T>> {
  using base = operation<receiving<Timed>, detail::receiver_slot<T>>;

public:
  receiving(channel& from, detail::error_to error,
            time_point deadline = detail::no_deadline) noexcept
      : base(from, error, deadline) {}

  detail::channel_attempt attempt(detail::channel_access& held) {
    return this->channel_.take(held, result_);
  }

  detail::wait_list& side() noexcept { return this->channel_.core_.receivers; }

  void make_slot() noexcept { this->slot_.emplace(result_); }

  std::exception_ptr failure() const noexcept { return nullptr; }

  void on_closed() noexcept {}  // the result is empty

  std::optional<T> await_resume() {
    this->rethrow();
    if constexpr (Timed) {
      this->error_.report_in_time();
    } else {
      this->error_.report();
    }
    return std::move(result_);
  }

private:
  std::optional<T> result_;
};

}  // namespace weft
