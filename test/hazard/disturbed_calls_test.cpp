// Calls that are interrupted, that find nothing yet, and that move less than they could, as the
// kernel may have it: data arrive whole and in order, nobody hears of it, and nobody waits for
// ever.
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "scenario_test.hpp"
#include "support/seed.hpp"

namespace weft::test {
namespace {

// As in failing_resources_test.cpp.
constexpr std::uint64_t stride = under_tsan ? 5 : 1;
constexpr int seeds = under_tsan ? 5 : 40;

struct disturbance {
  call which;
  std::vector<strike> strikes;
};

constexpr strike interrupted{effect::fails, EINTR};
constexpr strike not_yet{effect::fails, EAGAIN};
constexpr strike one{effect::moves_one, 0};
constexpr strike half{effect::moves_half, 0};

const std::vector<disturbance>& all_disturbances() {
  static const std::vector<disturbance> all{
      {call::recv, {interrupted, not_yet, one, half}},
      {call::send, {interrupted, not_yet, one, half}},
      {call::sendto, {interrupted, not_yet}},
      {call::recvmsg, {interrupted, not_yet}},
      {call::accept4, {interrupted, not_yet}},
      {call::connect, {interrupted, not_yet}},
      {call::epoll_wait, {interrupted, one}},
      {call::poll, {interrupted}},
      {call::ppoll, {interrupted}},
      {call::futex_wait, {interrupted, not_yet}},
      {call::madvise, {not_yet}},
      {call::close, {interrupted}},
  };
  return all;
}

class DisturbedCalls : public scenario_test {
protected:
  // As FailingResources::fail_in_turn(), but nothing may be told.
  std::uint64_t disturb_in_turn(fault next, std::uint64_t expected) {
    std::uint64_t disturbances = 0;
    for (; !HasFailure(); next.first += stride) {
      const bool was_disturbed = play_with(to_string(next), nullptr, next);
      if (!was_disturbed && next.first > expected) break;
      if (was_disturbed) ++disturbances;
    }
    return disturbances;
  }
};

INSTANTIATE_TEST_SUITE_P(Scenarios, DisturbedCalls, all_scenarios(), name_of_played);

TEST_P(DisturbedCalls, go_unnoticed_each_in_its_turn) {
  const auto counts = count_calls();
  std::uint64_t disturbances = 0;
  for (const disturbance& each : all_disturbances()) {
    const std::uint64_t count = counts[static_cast<std::size_t>(each.which)];
    if (count == 0) continue;
    std::uint64_t begin = 0;
    for (const strike& by : each.strikes) {
      for (const std::uint64_t in_a_row : {1u, 3u}) {
        disturbances += disturb_in_turn({each.which, by, begin++ % stride + 1, in_a_row}, count);
      }
    }
  }
  std::cout << disturbances << " disturbances, every " << stride << ". call\n";
}

TEST_P(DisturbedCalls, go_unnoticed_at_random) {
  const std::uint64_t first = fresh_seed();
  for (const unsigned rarity : {2u, 5u}) {
    for (int i = 0; i < seeds && !HasFailure(); ++i) {
      const std::uint64_t seed = first + static_cast<std::uint64_t>(i);
      play_with("seed " + std::to_string(seed), nullptr, seed, rarity);
    }
  }
}

}  // namespace
}  // namespace weft::test
