// The fixture of tests that play scenarios in which calls fail: each run gives back what it took.
//
// Threads: that of the test.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "faults.hpp"
#include "scenarios.hpp"
#include "support/runtime_fixture.hpp"

namespace weft::test {

/// A scenario and on how many workers.
using played_scenario = std::tuple<scenario, unsigned>;

class scenario_test : public runtime_test, public ::testing::WithParamInterface<played_scenario> {
protected:
  void SetUp() override {
    runtime_test::SetUp();
    count_calls();  // and what is made once in a process is there afterwards
  }

  /// Plays it undisturbed. Returns how many calls there are of each kind.
  std::vector<std::uint64_t> count_calls() {
    std::vector<std::uint64_t> counts(call_count);
    outcome result;
    {
      const faults none;
      play(result);
      for (std::size_t i = 0; i < call_count; ++i) counts[i] = none.count(static_cast<call>(i));
    }
    EXPECT_EQ(result.complaint(nullptr), "");
    return counts;
  }

  /// Plays it while a `faults{plan...}` exists. It may be told of `told`, if that is not null.
  /// Returns whether a call was struck.
  template <class... Plan>
  bool play_with(const std::string& words, const fault* told, const Plan&... plan) {
    const auto descriptors = testing::open_descriptors();
    const process_holdings before = held_by_process();
    outcome result;
    bool has_struck = false;
    {
      const faults some{plan...};
      play(result);
      has_struck = some.struck() != 0;
    }
    const process_holdings after = held_by_process();
    EXPECT_EQ(result.complaint(has_struck ? told : nullptr), "") << words;
    EXPECT_EQ(after.allocations, before.allocations) << words;
    EXPECT_EQ(after.mapped_bytes, before.mapped_bytes) << words;
    EXPECT_EQ(testing::open_descriptors(), descriptors) << words;
    return has_struck;
  }

private:
  void play(outcome& result) {
    auto former =
        set_diagnostics_sink([&result](std::string_view line) { result.note_diagnostic(line); });
    std::get<0>(GetParam()).play(result, {.workers = std::get<1>(GetParam())});
    set_diagnostics_sink(std::move(former));
  }
};

/// All there are, on one worker and on two.
inline auto all_scenarios() {
  std::vector<scenario> all;
  for (const auto& some :
       {fiber_scenarios(), coroutine_scenarios(), socket_scenarios(), message_scenarios()}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  return ::testing::Combine(::testing::ValuesIn(all), ::testing::Values(1u, 2u));
}

/// For INSTANTIATE_TEST_SUITE_P: "tcp_echo_on_2".
inline std::string name_of_played(const ::testing::TestParamInfo<played_scenario>& each) {
  return std::string{std::get<0>(each.param).name} + "_on_" +
         std::to_string(std::get<1>(each.param));
}

}  // namespace weft::test
