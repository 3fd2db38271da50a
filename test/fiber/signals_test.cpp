// weft::run and the signals that stop it. Each case is a process of its own: a death test.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <system_error>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using testing::ExitedWithCode;
using testing::KilledBySignal;
using weft::this_fiber::sleep_for;

class Run : public weft::test::runtime_test {};

class RunSignalDeath : public weft::test::runtime_test {
protected:
  void SetUp() override {
    runtime_test::SetUp();
    // Whatever started the tests may have chosen to ignore them, as nohup does.
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
  }

  static auto handler_of(int signal) {
    struct sigaction now {};

    ::sigaction(signal, nullptr, &now);
    return now.sa_handler;
  }
};

TEST_F(Run, it_returns_what_the_main_function_returns) {
  EXPECT_EQ(weft::run([] { return std::string("result"); }), "result");
}

TEST_F(Run, it_rethrows_what_the_main_function_throws) {
  EXPECT_THROW(weft::run([] { throw std::out_of_range("thrown by main"); }), std::out_of_range);
}

TEST_F(Run, a_cancellation_without_a_signal_is_an_exception_like_any_other) {
  EXPECT_THROW(weft::run([] { throw std::system_error(weft::errc::cancelled); }),
               std::system_error);
}

TEST_F(RunSignalDeath, the_process_ends_by_the_signal_whose_cancellation_ended_main) {
  for (const int signal : {SIGINT, SIGTERM}) {
    EXPECT_EXIT(
        {
          enter_death_test();
          weft::run([signal] {
            ::raise(signal);
            sleep_for(24h);
          });
        },
        KilledBySignal(signal), "");
  }
}

TEST_F(RunSignalDeath, the_signal_wakes_a_main_fiber_that_waits) {
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::run([] {
          weft::spawn([] {
            sleep_for(1ms);
            ::kill(::getpid(), SIGINT);
          }).detach();
          sleep_for(24h);
        });
      },
      KilledBySignal(SIGINT), "");
}

TEST_F(RunSignalDeath, the_fibers_are_unwound_before_the_process_ends) {
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::run([] {
          weft::spawn([] {
            std::error_code ec;
            sleep_for(24h, ec);
            std::fprintf(stderr, "unwound\n");
          }).detach();
          weft::this_fiber::yield();
          ::raise(SIGTERM);
          sleep_for(24h);
        });
      },
      KilledBySignal(SIGTERM), "unwound");
}

TEST_F(RunSignalDeath, what_main_returns_counts_if_it_handles_the_cancellation) {
  EXPECT_EXIT(
      {
        enter_death_test();
        std::_Exit(weft::run([] {
          ::raise(SIGTERM);
          std::error_code ec;
          sleep_for(24h, ec);
          return ec == weft::errc::cancelled ? 7 : 8;
        }));
      },
      ExitedWithCode(7), "");
}

TEST_F(RunSignalDeath, the_second_signal_ends_the_process_at_once) {
  for (const int second : {SIGINT, SIGTERM}) {
    EXPECT_EXIT(
        {
          enter_death_test();
          weft::run([second] {
            ::raise(SIGINT);
            ::raise(second);
            std::_Exit(1);
          });
        },
        KilledBySignal(second), "");
  }
}

TEST_F(RunSignalDeath, a_signal_that_was_ignored_stays_ignored) {
  EXPECT_EXIT(
      {
        enter_death_test();
        std::signal(SIGINT, SIG_IGN);
        std::_Exit(weft::run([] {
          ::raise(SIGINT);
          std::error_code ec;
          sleep_for(1ms, ec);
          return ec ? 1 : 7;
        }));
      },
      ExitedWithCode(7), "");
}

TEST_F(RunSignalDeath, a_signal_that_was_ignored_stays_ignored_after_the_other_has_come) {
  EXPECT_EXIT(
      {
        enter_death_test();
        std::signal(SIGINT, SIG_IGN);
        std::_Exit(weft::run([] {
          ::raise(SIGTERM);
          ::raise(SIGINT);
          return handler_of(SIGINT) == SIG_IGN && handler_of(SIGTERM) == SIG_DFL ? 7 : 1;
        }));
      },
      ExitedWithCode(7), "");
}

extern "C" void a_handler_of_the_program(int /*signal*/) {}

TEST_F(RunSignalDeath, a_handler_of_the_program_stays) {
  EXPECT_EXIT(
      {
        enter_death_test();
        std::signal(SIGTERM, a_handler_of_the_program);
        const bool stayed = weft::run([] {
          ::raise(SIGTERM);
          ::raise(SIGINT);
          return handler_of(SIGTERM) == a_handler_of_the_program;
        });
        std::_Exit(stayed && handler_of(SIGTERM) == a_handler_of_the_program ? 7 : 1);
      },
      ExitedWithCode(7), "");
}

TEST_F(RunSignalDeath, the_handlers_are_gone_after_run) {
  EXPECT_EXIT(
      {
        enter_death_test();
        const bool there = weft::run([] { return handler_of(SIGINT) != SIG_DFL; });
        const bool gone = handler_of(SIGINT) == SIG_DFL && handler_of(SIGTERM) == SIG_DFL;
        std::_Exit(there && gone ? 7 : 1);
      },
      ExitedWithCode(7), "");
}

TEST_F(RunSignalDeath, a_signal_of_a_former_run_does_not_end_the_next) {
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::run([] {
          ::raise(SIGINT);
          std::error_code ec;
          sleep_for(24h, ec);
        });
        int outcome = 1;
        try {
          weft::run([] { throw std::system_error(weft::errc::cancelled); });
        } catch (const std::system_error&) {
          outcome = 7;
        }
        std::_Exit(outcome);
      },
      ExitedWithCode(7), "");
}

TEST_F(RunSignalDeath, run_can_be_stopped_again_the_next_time) {
  EXPECT_EXIT(
      {
        enter_death_test();
        int cancelled = 0;
        for (int i = 0; i < 3; ++i) {
          weft::run([&] {
            ::raise(SIGINT);
            std::error_code ec;
            sleep_for(24h, ec);
            cancelled += ec == weft::errc::cancelled ? 1 : 0;
          });
        }
        std::_Exit(cancelled == 3 ? 7 : 1);
      },
      ExitedWithCode(7), "");
}

TEST_F(RunSignalDeath, what_was_printed_before_is_not_lost) {
  EXPECT_EXIT(
      {
        enter_death_test();
        static char buffer[1024];
        std::setvbuf(stderr, buffer, _IOFBF, sizeof buffer);
        std::fputs("still in the buffer\n", stderr);
        weft::run([] {
          ::raise(SIGINT);
          sleep_for(24h);
        });
      },
      KilledBySignal(SIGINT), "still in the buffer");
}

}  // namespace
