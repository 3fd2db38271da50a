// A stack that is too small: the process ends by SIGSEGV, as it would of a thread's, and one line
// says before that whose stack it was. Other faults are none of ours.
#include <array>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber.hpp>

#include "scheduler.hpp"
#include "support/runtime_fixture.hpp"

namespace {

using testing::ContainsRegex;
using testing::Eq;
using testing::ExitedWithCode;
using weft::spawn;
using weft::test::under_asan;
using weft::test::under_tsan;

constexpr std::size_t kib = 1024;

class StackOverflow : public weft::test::runtime_test {};

using StackOverflowDeath = StackOverflow;

// By SIGSEGV; the sanitizers report it and exit.
bool ends_by_fault(int status) {
  if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGSEGV;
  return (under_asan || under_tsan) && WIFEXITED(status) && WEXITSTATUS(status) != 0;
}

// Deeper than any stack.
[[gnu::noinline]] std::size_t recurse(std::size_t depth) {
  std::array<volatile char, 256> frame;
  frame[depth % frame.size()] = static_cast<char>(depth);
  if (depth == ~std::size_t{0}) return 0;
  return recurse(depth + 1) + static_cast<std::size_t>(frame[depth % frame.size()]);
}

void overflow() {
  if (recurse(0) == 1) std::_Exit(0);
}

// As the line says it: stacks are larger under the sanitizers.
std::string size_in_the_line(std::size_t bytes) {
  const std::size_t enlarged = under_asan ? 4 : (under_tsan ? 2 : 1);
  return std::to_string(enlarged * bytes / kib) + " KiB";
}

std::string line_of(const std::string& fiber, const std::string& remedy) {
  return "weft: fiber \"" + fiber +
         "\" \\(fiber [0-9]+\\) has overflowed its stack of [0-9]+ KiB, " +
         "0x[0-9a-f]+ to 0x[0-9a-f]+; " + remedy;
}

const std::string of_a_fiber = "raise spawn_options::stack_size, or runtime_options::stack_size";

TEST_F(StackOverflowDeath, of_a_fiber_names_it_and_its_stack) {
  const auto expected = "weft: fiber \"digger\" \\(fiber [0-9]+\\) has overflowed its stack of " +
                        size_in_the_line(64 * kib) + ", 0x[0-9a-f]+ to 0x[0-9a-f]+; " + of_a_fiber;
  EXPECT_EXIT(
      {
        enter_death_test();
        run([] { spawn({.name = "digger", .stack_size = 64 * kib}, overflow).join(); });
      },
      ends_by_fault, ContainsRegex(expected));
}

TEST_F(StackOverflowDeath, of_a_fiber_without_a_name_gives_its_number) {
  EXPECT_EXIT(
      {
        enter_death_test();
        run([] { spawn(overflow).join(); });
      },
      ends_by_fault, ContainsRegex("weft: fiber [0-9]+ has overflowed its stack of [0-9]+ KiB, "));
}

TEST_F(StackOverflowDeath, of_the_main_fiber_says_whose_stack_that_is) {
  EXPECT_EXIT(
      {
        enter_death_test();
        rlimit limit{};
        ::getrlimit(RLIMIT_STACK, &limit);
        limit.rlim_cur = 8 * kib * kib;
        ::setrlimit(RLIMIT_STACK, &limit);
        run(overflow);
      },
      ends_by_fault, ContainsRegex(line_of("main", "it is that of its thread")));
}

TEST_F(StackOverflowDeath, is_named_on_every_worker) {
  EXPECT_EXIT(
      {
        enter_death_test();
        run([] { weft::spawn_on(1, {.name = "elsewhere"}, overflow).join(); }, {.workers = 2});
      },
      ends_by_fault, ContainsRegex(line_of("elsewhere", of_a_fiber)));
}

TEST_F(StackOverflowDeath, of_a_task_of_coroutines_names_the_task) {
  EXPECT_EXIT(
      {
        enter_death_test();
        run([] {
          const auto task = []() -> weft::co::task<> {
            overflow();
            co_return;
          };
          weft::co::spawn({.name = "frames"}, task).join();
        });
      },
      ends_by_fault,
      ContainsRegex(line_of("frames", "coroutines run on stacks of runtime_options::stack_size")));
}

TEST_F(StackOverflowDeath, is_found_by_guards_of_every_kind) {
  for (const auto guard : {weft::stack_guard::page_protection, weft::stack_guard::groups}) {
    EXPECT_EXIT(
        {
          enter_death_test();
          run(
              [] {
                std::vector<weft::fiber<>> neighbours;
                for (int i = 0; i < 3; ++i) {
                  neighbours.push_back(spawn([] { weft::this_fiber::yield(); }));
                }
                spawn({.name = "digger"}, overflow).join();
              },
              {.guard = guard});
        },
        ends_by_fault, ContainsRegex(line_of("digger", of_a_fiber)));
  }
}

// ---- other faults
// --------------------------------------------------------------------------------

TEST_F(StackOverflowDeath, is_not_what_a_wild_pointer_does) {
  if (under_asan || under_tsan) GTEST_SKIP() << "the sanitizers report it in their own words";
  EXPECT_EXIT(
      {
        enter_death_test();
        run([] {
          spawn([] {
            volatile char* volatile nowhere = nullptr;
            *nowhere = 1;
          }).join();
        });
      },
      ends_by_fault, Eq(std::string{}));
  EXPECT_EXIT(
      {
        enter_death_test();
        run([] {
          spawn([] {
            const auto guard = weft::detail::scheduler::running()->stack_in_use().begin;
            if (*const_cast<volatile const std::byte*>(guard) == std::byte{1}) std::_Exit(0);
          }).join();
        });
      },
      ends_by_fault, Eq(std::string{}));
}

TEST_F(StackOverflowDeath, is_not_what_a_signal_does_that_somebody_sends) {
  if (under_asan || under_tsan) GTEST_SKIP() << "the sanitizers report it in their own words";
  EXPECT_EXIT(
      {
        enter_death_test();
        run([] { spawn([] { ::raise(SIGSEGV); }).join(); });
      },
      ends_by_fault, Eq(std::string{}));
}

// ---- handlers of the program
// ---------------------------------------------------------------------

extern "C" void exit_with_7(int) { ::_exit(7); }

extern "C" void exit_with_8(int, siginfo_t* info, void*) {
  ::_exit(info->si_code == SEGV_MAPERR || info->si_code == SEGV_ACCERR ? 8 : 9);
}

void exit_when_raised(int) {
  ::raise(SIGSEGV);
  ::_exit(7);
}

void install(void (*handler)(int), int flags) {
  struct sigaction action {};

  action.sa_handler = handler;
  action.sa_flags = flags;
  ::sigaction(SIGSEGV, &action, nullptr);
}

void do_nothing(int) {}

// A process in which no runtime has run yet: its handler comes first.
class StackOverflowFirst : public StackOverflow {
public:
  StackOverflowFirst() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  ~StackOverflowFirst() override { GTEST_FLAG_SET(death_test_style, before_); }

private:
  const std::string before_ = GTEST_FLAG_GET(death_test_style);
};

using StackOverflowFirstDeath = StackOverflowFirst;

TEST_F(StackOverflowFirstDeath, is_left_to_a_handler_that_was_there_before) {
  if (under_asan || under_tsan) GTEST_SKIP() << "theirs stays before that of the program";
  EXPECT_EXIT(
      {
        enter_death_test();
        ::signal(SIGSEGV, exit_with_7);
        run([] { spawn({.name = "digger"}, overflow).join(); });
      },
      ExitedWithCode(7), ContainsRegex(line_of("digger", of_a_fiber)));
  EXPECT_EXIT(
      {
        enter_death_test();

        struct sigaction with_info {};

        with_info.sa_sigaction = exit_with_8;
        with_info.sa_flags = SA_SIGINFO;
        ::sigaction(SIGSEGV, &with_info, nullptr);
        run([] { spawn({.name = "digger"}, overflow).join(); });
      },
      ExitedWithCode(8), ContainsRegex(line_of("digger", of_a_fiber)));
}

TEST_F(StackOverflowFirstDeath, is_left_to_a_handler_for_once_which_then_dies_of_it) {
  if (under_asan || under_tsan) GTEST_SKIP() << "theirs stays before that of the program";
  EXPECT_EXIT(
      {
        enter_death_test();
        install(do_nothing, static_cast<int>(SA_RESETHAND));
        run([] { spawn({.name = "digger"}, overflow).join(); });
      },
      ends_by_fault, ContainsRegex(line_of("digger", of_a_fiber)));
  EXPECT_EXIT(
      {
        enter_death_test();
        install(exit_when_raised, static_cast<int>(SA_RESETHAND | SA_NODEFER));
        run([] { spawn({.name = "digger"}, overflow).join(); });
      },
      ends_by_fault, ContainsRegex(line_of("digger", of_a_fiber)));
}

TEST_F(StackOverflowDeath, is_handled_by_the_program_alone_if_it_says_so_later) {
  EXPECT_EXIT(
      {
        enter_death_test();
        run([] {
          struct sigaction own {};

          own.sa_handler = exit_with_7;
          own.sa_flags = SA_ONSTACK;
          ::sigaction(SIGSEGV, &own, nullptr);
          spawn(overflow).join();
        });
      },
      ExitedWithCode(7), Eq(std::string{}));
}

// ---- the alternate stack of the thread
// -----------------------------------------------------------

stack_t alternate_stack() {
  stack_t now{};
  ::sigaltstack(nullptr, &now);
  return now;
}

TEST_F(StackOverflow, leaves_the_thread_the_alternate_stack_that_it_had) {
  const stack_t before = alternate_stack();
  std::vector<std::byte> memory(static_cast<std::size_t>(SIGSTKSZ));
  stack_t own{};
  own.ss_sp = memory.data();
  own.ss_size = memory.size();
  ASSERT_EQ(::sigaltstack(&own, nullptr), 0);

  run([&] { EXPECT_EQ(alternate_stack().ss_sp, memory.data()); });

  EXPECT_EQ(alternate_stack().ss_sp, memory.data());
  ASSERT_EQ(::sigaltstack(&before, nullptr), 0);
}

TEST_F(StackOverflow, takes_its_alternate_stack_with_it) {
  const stack_t before = alternate_stack();

  run([&] { EXPECT_EQ(alternate_stack().ss_flags & SS_DISABLE, 0); });

  EXPECT_EQ(alternate_stack().ss_flags, before.ss_flags);
  EXPECT_EQ(alternate_stack().ss_sp, before.ss_sp);
}

TEST_F(StackOverflow, leaves_the_thread_one_that_the_program_has_set_meanwhile) {
  const stack_t before = alternate_stack();
  std::vector<std::byte> memory(static_cast<std::size_t>(SIGSTKSZ));

  run([&] {
    stack_t own{};
    own.ss_sp = memory.data();
    own.ss_size = memory.size();
    ASSERT_EQ(::sigaltstack(&own, nullptr), 0);
  });

  EXPECT_EQ(alternate_stack().ss_sp, memory.data());
  ASSERT_EQ(::sigaltstack(&before, nullptr), 0);
}

}  // namespace
