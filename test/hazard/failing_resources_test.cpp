// Whatever call fails, of whatever kind, and whichever of them: the scenario goes on as if nothing
// had happened, or it is told the error by its name; it ends, and nothing is left.
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <string>
#include <system_error>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <weft/net.hpp>

#include "scenario_test.hpp"
#include "support/tcp.hpp"

namespace weft::test {
namespace {

// Of the calls of a kind every so manieth fails, from another one on for each errno: instrumented
// code is that much slower, and what the libraries do is the same.
constexpr std::uint64_t stride = under_tsan ? 5 : 1;

class FailingResources : public scenario_test {
protected:
  // From the call `next.first` on each in its turn, until there is none any more; of several
  // workers a run may have fewer than the `expected`. Returns how many failed.
  std::uint64_t fail_in_turn(fault next, std::uint64_t expected) {
    std::uint64_t failures = 0;
    for (; !HasFailure(); next.first += stride) {
      const bool has_failed = play_with(to_string(next), &next, next);
      if (!has_failed && next.first > expected) break;
      if (has_failed) ++failures;
      count_calls();  // what is broken shows
    }
    return failures;
  }
};

INSTANTIATE_TEST_SUITE_P(Scenarios, FailingResources, all_scenarios(), name_of_played);

TEST_P(FailingResources, are_named_and_leave_nothing) {
  const auto counts = count_calls();
  std::uint64_t failures = 0;
  for (std::size_t i = 0; i < call_count; ++i) {
    if (counts[i] == 0) continue;
    const auto which = static_cast<call>(i);
    std::uint64_t begin = 0;
    for (const int error : errors_of(which)) {
      for (const std::uint64_t in_a_row : {1u, 3u}) {
        const std::uint64_t first = begin++ % stride + 1;
        failures += fail_in_turn({which, {effect::fails, error}, first, in_a_row}, counts[i]);
      }
    }
  }
  std::cout << failures << " failures, every " << stride << ". call\n";
}

// ---- in what words -----------------------------------------------------------------------------

class NamedShortage : public runtime_test {
protected:
  // What `call()` throws on a fiber when the next call of a kind fails.
  template <class Call>
  std::string told_when(const fault& planned, Call&& call) {
    std::string told;
    run([&] {
      try {
        const faults some{planned};
        call();
      } catch (const std::system_error& error) {
        told = error.what();
      }
    });
    return told;
  }
};

using ::testing::HasSubstr;

TEST_F(NamedShortage, of_mappings_for_stacks_says_which_limit_it_is) {
  EXPECT_THAT(told_when({call::mmap, {effect::fails, ENOMEM}, 1, 64}, [] { spawn([] {}).join(); }),
              HasSubstr("vm.max_map_count"));
}

TEST_F(NamedShortage, of_descriptors_says_what_the_limit_is) {
  const auto told = told_when({call::socket, {effect::fails, EMFILE}},
                              [] { net::listener{net::endpoint::loopback_v4(0)}; });

  EXPECT_THAT(told, HasSubstr("ulimit -n"));
}

// The words themselves take memory.
TEST_F(NamedShortage, is_survived_by_an_accept_that_has_no_memory_to_tell_of_it) {
  run([] {
    net::listener listening{net::endpoint::loopback_v4(0)};
    const std::uint16_t port = listening.local_endpoint().port();
    const unique_fd first = connect_tcp(port);
    static_cast<void>(listening.accept());  // now the worker has all it needs to wait
    const unique_fd second = connect_tcp(port);
    std::error_code ec;
    net::socket accepted;
    {
      const faults both{{call::accept4, {effect::fails, ENOMEM}},
                        {call::allocation, {effect::fails, ENOMEM}, 1, 64}};
      accepted = listening.accept(ec);
      EXPECT_GE(both.struck(), 2u);
    }

    EXPECT_EQ(ec, std::error_code{});
    EXPECT_TRUE(accepted.is_open());
  });
  take_diagnostics();
}

}  // namespace
}  // namespace weft::test
