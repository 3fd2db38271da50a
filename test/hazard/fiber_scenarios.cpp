// Fibers without sockets.
#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <weft/co.hpp>

#include "scenarios.hpp"
#include "support/sanitizers.hpp"

namespace weft::test {

using namespace std::chrono_literals;

namespace {

void nothing(outcome& result, const runtime_options& options) {
  run_noting(result, options, [] {});
}

// ---- spawning -----------------------------------------------------------------------------------

int spawn_one_of_each_kind(unsigned workers) {
  constexpr std::size_t more_than_a_block_holds = 1'000;
  const std::array<char, more_than_a_block_holds> much{};
  fiber<> later = spawn([] { this_fiber::yield(); });
  fiber<int> named = spawn({.name = "a name that is longer than a small string"}, [] { return 1; });
  fiber<int> heavy = spawn([much] { return much[0] + 2; });
  fiber<int> small = spawn({.stack_size = 16 * 1024}, [] { return 4; });
  fiber<int> elsewhere = spawn_on(workers - 1, [] { return 8; });
  fiber<int> anywhere =
      spawn_anywhere({.stack_size = 1024 * 1024}, [much] { return much[1] + 16; });
  spawn([] {}).detach();
  later.join();
  int sum = 0;
  for (fiber<int>* const each : {&named, &heavy, &small, &elsewhere, &anywhere}) {
    each->join();
    sum += each->result();
  }
  return sum;
}

void spawning(outcome& result, const runtime_options& options) {
  run_noting(result, options, [&] {
    result.expect(spawn_one_of_each_kind(options.workers) == 31, "each fiber returns its number");
  });
}

void many(outcome& result, const runtime_options& options, stack_guard guard, std::size_t count) {
  runtime_options mine = options;
  mine.guard = guard;
  run_noting(result, mine, [&] {
    std::vector<fiber<std::size_t>> fibers;
    for (std::size_t i = 0; i < count; ++i) {
      fibers.push_back(spawn_on(i % options.workers, [i] {
        this_fiber::yield();
        return i;
      }));
    }
    std::size_t sum = 0;
    for (auto& each : fibers) {
      each.join();
      sum += each.result();
    }
    result.expect(sum == count * (count - 1) / 2, "each fiber returns its number");
  });
}

// On one worker more than one chunk of blocks, and of stacks, has room for. ThreadSanitizer takes a
// millisecond for each, so there it is only more than one chunk of stacks.
void very_many(outcome& result, const runtime_options& options) {
  many(result, options, stack_guard::groups, under_tsan ? 80 : 600);
}

void guarded_lightly(outcome& result, const runtime_options& options) {
  many(result, options, stack_guard::automatic, 20);
}

void guarded_by_pages(outcome& result, const runtime_options& options) {
  many(result, options, stack_guard::page_protection, 20);
}

void ordered_by_seed(outcome& result, const runtime_options& options) {
  runtime_options mine = options;
  mine.order_seed = 7;
  many(result, mine, stack_guard::automatic, 5);
}

// ---- groups -------------------------------------------------------------------------------------

void groups(outcome& result, const runtime_options& options) {
  run_noting(result, options, [&] {
    std::atomic<int> sum = 0;
    in_group(result, [&](task_group& group) {
      for (unsigned i = 0; i < 6; ++i) {
        group.spawn_on(i % options.workers, [&sum, &result] {
          in_group(result, [&](task_group& inner) {
            for (int j = 0; j < 3; ++j) inner.spawn([&sum] { ++sum; });
          });
        });
      }
      group.join();
    });
    result.expect(sum == 18 || result.has_failed(), "all fibers of all groups have run");
  });
}

// One that fails ends the others, which wait for ever.
void group_that_fails(outcome& result, const runtime_options& options) {
  run_noting(result, options, [&] {
    int failures = 0;
    task_group group;
    const bool spawned = result.attempt([&] {
      for (unsigned i = 0; i < 4; ++i) {
        group.spawn_on(i % options.workers, [] { this_fiber::sleep_for(24h); });
      }
      group.spawn([] { throw planned_failure{}; });
    });
    if (!spawned) group.request_cancel();
    try {
      group.join();
    } catch (const planned_failure&) {
      ++failures;
    } catch (...) {
      result.note_current_exception();
    }
    result.expect(failures == 1 || result.has_failed(), "the failure is told once");
  });
}

// ---- waiting ------------------------------------------------------------------------------------

void send_numbers(channel<int>& to, int count) {
  for (int i = 1; i <= count; ++i) to.send(i);
  to.close();
}

int sum_of(channel<int>& from) {
  int sum = 0;
  std::error_code ec;
  while (const auto each = from.receive(ec)) sum += *each;
  if (ec && ec != errc::closed) throw std::system_error(ec, "receive");
  return sum;
}

void channels(outcome& result, const runtime_options& options) {
  run_noting(result, options, [&] {
    constexpr int numbers = 40;
    channel<int> first{0};
    channel<int> second{16};
    std::atomic<int> sum = 0;
    in_group(result, [&](task_group& group) {
      group.spawn([&] { sum += sum_of(second); });
      group.spawn_on(options.workers - 1, [&] {
        while (const auto each = first.receive()) second.send(*each);
        second.close();
      });
      group.spawn([&] { send_numbers(first, numbers); });
      group.join();
    });
    result.expect(sum == numbers * (numbers + 1) / 2 || result.has_failed(),
                  "every number arrives once");
  });
}

void times(outcome& result, const runtime_options& options) {
  run_noting(result, options, [&] {
    std::atomic<int> expired = 0;
    in_group(result, [&](task_group& group) {
      for (unsigned i = 0; i < 4; ++i) {
        group.spawn_on(i % options.workers, [&] {
          this_fiber::sleep_for(1ms);
          timeout limit{1ms};
          std::error_code ec;
          this_fiber::sleep_for(24h, ec);
          if (ec == errc::timed_out && limit.expired()) ++expired;
        });
      }
      group.join();
    });
    result.expect(expired == 4 || result.has_failed(), "every timeout expires");
  });
}

void primitives(outcome& result, const runtime_options& options) {
  run_noting(result, options, [&] {
    mutex lock;
    condition_variable changed;
    semaphore places{2};
    event all_started;
    int count = 0;
    in_group(result, [&](task_group& group) {
      for (unsigned i = 0; i < 5; ++i) {
        group.spawn_on(i % options.workers, [&] {
          all_started.wait();
          places.acquire();
          {
            const std::lock_guard hold{lock};
            this_fiber::yield();
            ++count;
          }
          places.release();
          changed.notify_all();
        });
      }
      all_started.set();
      std::unique_lock hold{lock};
      while (count != 5 && !group.cancel_requested()) changed.wait_for(hold, 10ms);
      hold.unlock();
      group.join();
    });
    result.expect(count == 5 || result.has_failed(), "all have had the lock");
  });
}

// ---- values of tasks ----------------------------------------------------------------------------

fiber_local<std::string> local_text;
const context_value<std::string> bound_text;

constexpr std::string_view inherited = "inherited by all, and longer than a small string";
constexpr std::string_view own = "of each alone, and longer than a small string";
constexpr std::size_t values_size = inherited.size() + own.size();

void values(outcome& result, const runtime_options& options) {
  run_noting(result, options, [&] {
    const context_binding bind{bound_text, std::string{inherited}};
    std::atomic<std::size_t> sum = 0;
    in_group(result, [&](task_group& group) {
      for (unsigned i = 0; i < 3; ++i) {
        group.spawn_on(i % options.workers, [&] {
          *local_text = own;
          this_fiber::yield();
          sum += local_text->size() + bound_text.get().size();
        });
      }
      group.join();
    });
    result.expect(sum == 3 * values_size || result.has_failed(), "every task has its values");
  });
}

// ---- other threads ------------------------------------------------------------------------------

struct questions {
  std::atomic<int> sum = 0;
  event posted;
  event finished;
};

// What a plain thread asks of a runtime that runs.
void ask_from_outside(outcome& result, runtime& asked, questions& all) {
  result.attempt([&] {
    asked.post([&all] {
      all.sum += 1;
      all.posted.set();
    });
    all.sum += asked.spawn([] { return 2; }).get();
    all.sum += asked.spawn([]() -> co::task<int> { co_return 4; }).get();
  });
  all.finished.set();
}

void posts(outcome& result, const runtime_options& options) {
  result.attempt([&] {
    runtime instance{options};
    questions asked;
    std::optional<std::thread> outside;
    result.attempt([&] {
      instance.run([&] {
        {
          const undisturbed while_starting;
          outside.emplace([&] { ask_from_outside(result, instance, asked); });
        }
        asked.finished.wait();
        if (!result.has_failed()) asked.posted.wait();
      });
    });
    if (outside) outside->join();
    result.expect(asked.sum == 7 || result.has_failed(), "every question is answered");
  });
}

// What could not begin may be tried again, and does then what it was asked for.
void run_again(outcome& result, const runtime_options& options) {
  result.attempt([&] {
    runtime_options mine = options;
    mine.workers = options.workers + 1;
    runtime instance{mine};
    event posted;
    const bool is_posted = result.attempt([&] { instance.post([&posted] { posted.set(); }); });
    const bool has_run = result.attempt([&] {
      instance.run([&] {
        if (is_posted) posted.wait();
      });
    });
    if (has_run) return;
    const undisturbed the_second_time;
    const bool runs_now = result.attempt([&] {
      instance.run([&] {
        if (is_posted) posted.wait();
        spawn_on(options.workers, [] {}).join();
      });
    });
    result.expect(runs_now, "a run that could not begin can be repeated");
  });
}

constexpr std::array all{
    scenario{"nothing", nothing},
    scenario{"spawning", spawning},
    scenario{"many", very_many},
    scenario{"guarded_lightly", guarded_lightly},
    scenario{"guarded_by_pages", guarded_by_pages},
    scenario{"ordered_by_seed", ordered_by_seed},
    scenario{"groups", groups},
    scenario{"group_that_fails", group_that_fails},
    scenario{"channels", channels},
    scenario{"times", times},
    scenario{"primitives", primitives},
    scenario{"values", values},
    scenario{"posts", posts},
    scenario{"run_again", run_again},
};

}  // namespace

std::span<const scenario> fiber_scenarios() { return all; }

}  // namespace weft::test
