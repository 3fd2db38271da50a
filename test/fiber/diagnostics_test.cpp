// The diagnostics sink, and the exceptions of fibers that nobody has looked at.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using testing::internal::CaptureStderr;
using testing::internal::GetCapturedStderr;
using weft::spawn;
using weft::this_fiber::yield;

class Diagnostics : public weft::test::runtime_test {};

class UnseenFailure : public weft::test::runtime_test {
protected:
  // Expects one line since the last call, with both texts.
  void expect_report(std::string_view name, std::string_view what) {
    const auto lines = take_diagnostics();
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_NE(lines[0].find("\"" + std::string(name) + "\""), std::string::npos) << lines[0];
    EXPECT_NE(lines[0].find(what), std::string::npos) << lines[0];
  }
};

TEST_F(Diagnostics, a_line_goes_to_the_sink_as_it_is) {
  weft::diagnose("a line");

  EXPECT_EQ(take_diagnostics(), std::vector<std::string>{"a line"});
}

TEST_F(Diagnostics, without_a_sink_a_line_goes_to_stderr_with_a_prefix) {
  auto former = weft::set_diagnostics_sink({});
  CaptureStderr();

  weft::diagnose("a line");

  EXPECT_EQ(GetCapturedStderr(), "weft: a line\n");
  weft::set_diagnostics_sink(std::move(former));
}

TEST_F(Diagnostics, a_line_whose_sink_throws_goes_to_stderr) {
  auto former = weft::set_diagnostics_sink([](std::string_view) { throw std::bad_alloc{}; });
  CaptureStderr();

  weft::diagnose("a line");

  EXPECT_EQ(GetCapturedStderr(), "weft: a line\n");
  weft::set_diagnostics_sink(std::move(former));
}

TEST_F(Diagnostics, setting_a_sink_returns_the_one_before) {
  std::string seen;
  auto fixtures = weft::set_diagnostics_sink([&](std::string_view line) { seen = line; });

  auto ours = weft::set_diagnostics_sink(fixtures);
  weft::diagnose("for the fixture");
  ours("for ours");

  EXPECT_EQ(take_diagnostics(), std::vector<std::string>{"for the fixture"});
  EXPECT_EQ(seen, "for ours");
}

TEST_F(Diagnostics, an_empty_sink_is_returned_for_stderr) {
  auto former = weft::set_diagnostics_sink({});

  EXPECT_FALSE(static_cast<bool>(weft::set_diagnostics_sink(std::move(former))));
}

TEST_F(Diagnostics, the_sink_is_called_by_one_thread_at_a_time) {
  int lines = 0;  // unprotected: a race would lose some, and ThreadSanitizer would see it
  auto former = weft::set_diagnostics_sink([&](std::string_view) { ++lines; });
  const auto write_many = [] {
    for (int i = 0; i < 1'000; ++i) weft::diagnose("line");
  };

  std::thread other{write_many};
  write_many();
  other.join();
  weft::set_diagnostics_sink(std::move(former));

  EXPECT_EQ(lines, 2'000);
}

TEST_F(Diagnostics, the_sink_may_ask_who_runs) {
  std::vector<std::string> names;
  auto former = weft::set_diagnostics_sink(
      [&](std::string_view) { names.push_back(weft::this_fiber::name()); });

  run([] {
    spawn({.name = "detached"}, [] { throw 1; }).detach();
    yield();
    spawn({.name = "dropped"}, [] { throw 1; }).join();
  });
  weft::set_diagnostics_sink(std::move(former));

  EXPECT_EQ(names, (std::vector<std::string>{"detached", "main"}));
}

TEST_F(Diagnostics, the_smallest_stack_suffices_for_a_line_to_stderr) {
  auto former = weft::set_diagnostics_sink({});
  CaptureStderr();

  run(
      [] {
        spawn({.name = "small"}, [] { throw std::runtime_error("on a small stack"); }).detach();
        yield();
      },
      {.stack_size = 1});

  EXPECT_NE(GetCapturedStderr().find("on a small stack"), std::string::npos);
  weft::set_diagnostics_sink(std::move(former));
}

TEST_F(Diagnostics, what_a_sink_has_to_say_itself_goes_to_stderr) {
  auto former = weft::set_diagnostics_sink([](std::string_view) { weft::diagnose("from it"); });
  CaptureStderr();

  weft::diagnose("to it");

  EXPECT_EQ(GetCapturedStderr(), "weft: from it\n");
  weft::set_diagnostics_sink(std::move(former));
}

TEST_F(Diagnostics, a_sink_that_sets_another_ends_the_process_with_a_line) {
  enter_death_test();
  EXPECT_EXIT(
      {
        weft::set_diagnostics_sink([](std::string_view) { weft::set_diagnostics_sink({}); });
        weft::diagnose("to it");
      },
      testing::KilledBySignal(SIGABRT), "set_diagnostics_sink\\(\\) was called by the sink");
}

// As the process has to end, whatever the program's own sink does.
TEST_F(Diagnostics, a_sink_that_never_returns_does_not_keep_a_misuse_from_ending_the_process) {
  const auto misuse_a_mutex = [] {
    weft::mutex lock;
    lock.lock();
  };
  static std::atomic<bool> is_in_sink = false;
  const auto sleep_long = [](std::string_view) {
    is_in_sink = true;
    std::this_thread::sleep_for(std::chrono::hours(1));
  };
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::set_diagnostics_sink(sleep_long);
        misuse_a_mutex();
      },
      testing::KilledBySignal(SIGABRT), "weft: a mutex was destroyed");
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::set_diagnostics_sink(sleep_long);
        std::thread{[] { weft::diagnose("stuck"); }}.detach();
        while (!is_in_sink) std::this_thread::yield();
        misuse_a_mutex();
      },
      testing::KilledBySignal(SIGABRT), "weft: a mutex was destroyed");
}

TEST_F(Diagnostics, a_full_pipe_as_stderr_does_not_keep_a_misuse_from_ending_the_process) {
  EXPECT_EXIT(
      {
        enter_death_test();
        int ends[2];
        if (::pipe2(ends, O_NONBLOCK) != 0) std::_Exit(1);
        const std::string filling(4096, 'x');
        while (::write(ends[1], filling.data(), filling.size()) > 0) {
        }
        ::fcntl(ends[1], F_SETFL, 0);  // from here on it blocks
        ::dup2(ends[1], STDERR_FILENO);
        weft::mutex lock;
        lock.lock();
      },
      testing::KilledBySignal(SIGABRT), "");
}

// Makes stderr a pipe that nobody reads while it exists.
class broken_stderr {
public:
  broken_stderr() : saved_(::dup(STDERR_FILENO)) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::system_error(errno, std::system_category(), "pipe");
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
  }

  broken_stderr(const broken_stderr&) = delete;
  broken_stderr& operator=(const broken_stderr&) = delete;

  ~broken_stderr() {
    ::dup2(saved_, STDERR_FILENO);
    ::close(saved_);
  }

private:
  int saved_;
};

TEST_F(Diagnostics, a_reader_of_stderr_that_has_gone_ends_nothing) {
  auto former = weft::set_diagnostics_sink({});
  {
    const broken_stderr broken;
    errno = ERANGE;
    weft::diagnose("into the void");
    EXPECT_EQ(errno, ERANGE);
  }
  weft::set_diagnostics_sink(std::move(former));

  sigset_t pending;
  sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
}

TEST_F(Diagnostics, a_signal_of_a_broken_pipe_that_was_pending_stays) {
  auto former = weft::set_diagnostics_sink({});
  sigset_t pipe, before, pending;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, &before);
  raise(SIGPIPE);
  {
    const broken_stderr broken;
    weft::diagnose("into the void");
  }
  sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 1);

  const timespec at_once{};
  sigtimedwait(&pipe, nullptr, &at_once);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  weft::set_diagnostics_sink(std::move(former));
}

// ---- exceptions that nobody retrieves ----------------------------------------------------------

TEST_F(UnseenFailure, it_is_reported_when_the_handle_goes) {
  run([this] {
    {
      auto child = spawn({.name = "failing"}, [] { throw std::runtime_error("the reason"); });
      child.join();
      EXPECT_TRUE(take_diagnostics().empty());
    }
    expect_report("failing", "the reason");
  });
}

TEST_F(UnseenFailure, it_is_reported_when_a_detached_fiber_ends) {
  run([this] {
    spawn({.name = "failing"}, [] { throw std::runtime_error("the reason"); }).detach();
    yield();
    expect_report("failing", "the reason");
  });
}

TEST_F(UnseenFailure, it_is_reported_when_an_ended_fiber_is_detached) {
  run([this] {
    auto child = spawn({.name = "failing"}, [] { throw std::runtime_error("the reason"); });
    child.join();
    child.detach();
    expect_report("failing", "the reason");
  });
}

TEST_F(UnseenFailure, it_is_reported_when_the_handle_is_assigned_to) {
  run([this] {
    auto child = spawn({.name = "failing"}, [] { throw std::runtime_error("the reason"); });
    child.join();
    child = {};
    expect_report("failing", "the reason");
  });
}

TEST_F(UnseenFailure, it_is_not_reported_once_the_result_was_looked_at) {
  run([] {
    auto child = spawn([] { throw std::runtime_error("seen"); });
    child.join();
    EXPECT_THROW(child.result(), std::runtime_error);
  });
}

TEST_F(UnseenFailure, a_fiber_without_a_name_is_reported_by_its_id) {
  run([this] {
    std::string name;
    {
      auto child = spawn([] { throw std::runtime_error("the reason"); });
      name = child.name();
      child.join();
    }
    expect_report(name, "the reason");
  });
}

TEST_F(UnseenFailure, what_is_no_std_exception_is_reported_too) {
  run([this] {
    spawn({.name = "failing"}, [] { throw 4711; }).join();
    expect_report("failing", "of type int");
  });
}

TEST_F(UnseenFailure, a_fiber_that_ended_by_its_cancellation_has_not_failed) {
  run([] {
    auto waiting = spawn([] { weft::this_fiber::sleep_for(24h); });
    auto unstarted = spawn([] {});
    weft::this_fiber::yield();
    unstarted = spawn([] {});
  });
}

TEST_F(UnseenFailure, a_cancelled_fiber_that_fails_by_something_else_has_failed) {
  run([this] {
    {
      auto child = spawn({.name = "failing"}, [] {
        std::error_code ec;
        weft::this_fiber::sleep_for(24h, ec);
        throw std::runtime_error("while ending");
      });
      yield();
    }
    expect_report("failing", "while ending");
  });
}

TEST_F(UnseenFailure, a_cancellation_that_nobody_asked_for_is_a_failure) {
  run([this] {
    spawn({.name = "failing"}, [] { throw std::system_error(weft::errc::cancelled); }).join();
    expect_report("failing", "cancelled");
  });
}

TEST_F(UnseenFailure, it_is_reported_by_a_handle_that_outlives_the_runtime) {
  {
    weft::fiber<> child;
    run([&] {
      child = spawn({.name = "failing"}, [] { throw std::runtime_error("the reason"); });
      child.join();
    });
    EXPECT_TRUE(take_diagnostics().empty());
  }
  expect_report("failing", "the reason");
}

}  // namespace
