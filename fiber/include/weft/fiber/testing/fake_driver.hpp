// A driver that a test writes: it notes what the scheduler asks of it and does what it is told.
//
// Threads: wake() and wakes() any; the rest by the worker it is installed on.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <vector>

#include <weft/fiber/driver.hpp>

namespace weft::testing {

class fake_driver final : public driver {
public:
  /// What a poll() is to do with its deadline; it must not throw.
  using script = std::function<void(clock::time_point deadline)>;

  /// Puts a fake under the worker of the calling fiber, in the place of its driver, until its
  /// runtime is destroyed. Without a script it waits for wake() or the deadline and reports
  /// nothing. Ends the process with one line on a thread that runs no fibers.
  static fake_driver& install(script what = {});

  /// Replaces the script.
  void set_script(script what) { script_ = std::move(what); }

  /// What has_waiters() answers from now on.
  void set_has_waiters(bool has) noexcept { has_waiters_ = has; }

  /// Returns the deadlines of all polls so far, oldest first.
  const std::vector<clock::time_point>& polls() const noexcept { return polls_; }

  /// Returns how often it was woken.
  std::size_t wakes() const;

  /// Returns how often the process was told of a fork.
  std::size_t forks() const noexcept { return forks_; }

  void poll(clock::time_point deadline) override;
  void wake() noexcept override;

  bool has_waiters() const noexcept override { return has_waiters_; }

  void after_fork() override { ++forks_; }

private:
  explicit fake_driver(script what) : script_(std::move(what)) {}

  script script_;
  std::vector<clock::time_point> polls_;
  std::size_t forks_ = 0;
  bool has_waiters_ = false;
  mutable std::mutex lock_;  // guards the next two
  std::size_t wakes_ = 0;
  bool woken_ = false;
  std::condition_variable woken_changed_;
};

}  // namespace weft::testing
