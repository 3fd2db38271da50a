// Tasks of coroutines without sockets.
#include <array>
#include <atomic>
#include <chrono>
#include <vector>

#include <weft/co.hpp>

#include "scenarios.hpp"

namespace weft::test {
namespace {

using namespace std::chrono_literals;
using co::task;

task<int> number(int value) {
  co_await co::yield();
  co_return value;
}

task<int> sum_of_others(int depth) {
  if (depth == 0) co_return co_await number(1);
  co_return co_await sum_of_others(depth - 1) + co_await number(1);
}

void awaiting(outcome& result, const runtime_options& options) {
  run_noting(result, options, [&] {
    fiber<int> deep = co::spawn(sum_of_others(20));
    fiber<int> elsewhere = co::spawn_on(options.workers - 1, [] { return sum_of_others(5); });
    const int here = co::block_on(sum_of_others(3));
    deep.join();
    elsewhere.join();
    result.expect(here + deep.result() + elsewhere.result() == 4 + 21 + 6, "all add up");
  });
}

task<> sleep_for_ever() { co_await co::sleep_for(24h); }

task<int> combine() {
  const auto [one, two] = co_await co::when_all(number(1), number(2));
  std::vector<task<int>> many;
  for (int i = 0; i < 5; ++i) many.push_back(number(i));
  int sum = one + two;
  for (const int each : co_await co::when_all(std::move(many))) sum += each;
  co_await co::when_any(sleep_for_ever(), number(0), sleep_for_ever());
  co_return sum;
}

void combining(outcome& result, const runtime_options& options) {
  run_noting(result, options, [&] {
    fiber<int> combined = co::spawn(combine());
    combined.join();
    result.expect(combined.result() == 13, "all of several are awaited");
  });
}

task<> limit(outcome& result) {
  bool expired = false;
  try {
    co_await co::with_timeout(1ms, [] { return sleep_for_ever(); });
  } catch (const std::system_error& error) {
    expired = error.code() == errc::timed_out;
    if (!expired) throw;
  }
  result.expect(expired, "the timeout expires");
}

task<> in_group_of_tasks(std::atomic<int>& ended, unsigned workers) {
  co_await co::with_task_group([&ended, workers](task_group& group) -> task<> {
    for (unsigned i = 0; i < 5; ++i) {
      group.spawn_on(i % workers, [&ended]() -> task<> {
        co_await co::yield();
        ++ended;
      });
    }
    co_await group.co_join();
  });
}

void groups_of_coroutines(outcome& result, const runtime_options& options) {
  run_noting(result, options, [&] {
    std::atomic<int> ended = 0;
    fiber<> grouped = co::spawn(in_group_of_tasks(ended, options.workers));
    fiber<> limited = co::spawn([&] { return limit(result); });
    grouped.join();
    limited.join();
    result.attempt([&] { grouped.result(); });
    result.attempt([&] { limited.result(); });
    result.expect(ended == 5 || result.has_failed(), "all tasks of the group have run");
  });
}

co::async_generator<int> count_to(int last) {
  for (int i = 1; i <= last; ++i) {
    co_await co::yield();
    co_yield i;
  }
}

co::generator<int> count_at_once(int last) {
  for (int i = 1; i <= last; ++i) co_yield i;
}

task<int> add_up() {
  int sum = 0;
  auto slowly = count_to(10);
  while (const auto each = co_await slowly.next()) sum += *each;
  for (const int each : count_at_once(10)) sum += each;
  co_return sum;
}

void generators(outcome& result, const runtime_options& options) {
  run_noting(result, options, [&] {
    fiber<int> adding = co::spawn(add_up());
    adding.join();
    result.expect(adding.result() == 110, "all numbers are yielded");
  });
}

task<> send_all_numbers(channel<int>& to, int last) {
  for (int i = 1; i <= last; ++i) co_await to.co_send(i);
  to.close();
}

task<> receive_all_numbers(channel<int>& from, mutex& lock, int& sum) {
  while (const auto each = co_await from.co_receive()) {
    co_await lock.co_lock();
    const std::lock_guard hold{lock, std::adopt_lock};
    co_await co::yield();
    sum += *each;
  }
}

void channels_of_coroutines(outcome& result, const runtime_options& options) {
  run_noting(result, options, [&] {
    channel<int> numbers{4};
    mutex lock;
    int sum = 0;
    in_group(result, [&](task_group& group) {
      group.spawn([&] { return receive_all_numbers(numbers, lock, sum); });
      group.spawn_on(options.workers - 1, [&] { return receive_all_numbers(numbers, lock, sum); });
      group.spawn([&] { return send_all_numbers(numbers, 30); });
      group.join();
    });
    result.expect(sum == 465 || result.has_failed(), "every number arrives once");
  });
}

// Their runners are held, so that others need stacks.
void blocking_coroutines(outcome& result, const runtime_options& options) {
  run_noting(result, options, [&] {
    event go;
    std::atomic<int> woken = 0;
    in_group(result, [&](task_group& group) {
      for (unsigned i = 0; i < 6; ++i) {
        group.spawn_on(i % options.workers, [&]() -> task<> {
          co_await co::yield();
          go.wait();
          ++woken;
        });
      }
      group.spawn([&]() -> task<> {
        for (int i = 0; i < 3; ++i) co_await co::yield();
        go.set();
      });
      group.join();
    });
    result.expect(woken == 6 || result.has_failed(), "all that block are woken");
  });
}

constexpr std::array all{
    scenario{"awaiting", awaiting},
    scenario{"combining", combining},
    scenario{"groups_of_coroutines", groups_of_coroutines},
    scenario{"generators", generators},
    scenario{"channels_of_coroutines", channels_of_coroutines},
    scenario{"blocking_coroutines", blocking_coroutines},
};

}  // namespace

std::span<const scenario> coroutine_scenarios() { return all; }

}  // namespace weft::test
