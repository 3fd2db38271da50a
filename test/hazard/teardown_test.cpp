// The end of a runtime with tasks in every kind of wait: each of them unwinds, once, whether what
// it waits for goes before the runtime or after it.
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/fiber/fiber_local.hpp>
#include <weft/net.hpp>

#include "hazard/waits.hpp"

namespace {

using namespace weft::test;
using weft::this_fiber::yield;

// Which goes first.
enum class order {
  things_during_the_run,  // by whichever task lets go last
  things_then_runtime,    // after the run
  runtime_then_things,
};

using Case = std::tuple<kind_of_wait, half, order>;

class Teardown : public runtime_test, public testing::WithParamInterface<Case> {};

std::string name_of_order(order which) {
  switch (which) {
  case order::things_during_the_run: return "_things_with_their_tasks";
  case order::things_then_runtime: return "_things_first";
  default: return "_runtime_first";
  }
}

std::string name_of_case(const testing::TestParamInfo<Case>& info) {
  return std::string{std::get<0>(info.param).name} + "_of_" + name_of(std::get<1>(info.param)) +
         name_of_order(std::get<2>(info.param));
}

INSTANTIATE_TEST_SUITE_P(Waits, Teardown,
                         testing::Combine(testing::ValuesIn(all_kinds_of_wait),
                                          testing::ValuesIn(both_halves),
                                          testing::Values(order::things_during_the_run,
                                                          order::things_then_runtime,
                                                          order::runtime_then_things)),
                         name_of_case);

// What has been made and not yet destroyed, and how many tasks have begun and been unwound.
struct tally {
  std::atomic<int> alive = 0;
  std::atomic<int> begun = 0;
  std::atomic<int> unwound = 0;
};

class counted {
public:
  explicit counted(tally& where) : tally_(&where) { ++tally_->alive; }

  counted(const counted& other) : tally_(other.tally_) { ++tally_->alive; }

  counted& operator=(const counted&) = delete;

  ~counted() { --tally_->alive; }

protected:
  tally* tally_;
};

// On the stack of a task, or in its frame.
struct counted_task : counted {
  explicit counted_task(tally& where) : counted(where) { ++tally_->begun; }

  counted_task(const counted_task&) = delete;
  counted_task& operator=(const counted_task&) = delete;

  ~counted_task() { ++tally_->unwound; }
};

using shared_things = std::shared_ptr<awaited_things>;

void make_local(tally& counts) {
  static weft::fiber_local<std::unique_ptr<counted>> local;
  *local = std::make_unique<counted>(counts);
}

void wait_for(const kind_of_wait& kind, awaited_things& all, tally& counts) {
  make_local(counts);
  const counted_task guard{counts};
  kind.wait(all);
}

weft::co::task<> co_wait_for(const kind_of_wait& kind, awaited_things& all, tally& counts) {
  make_local(counts);
  const counted_task guard{counts};
  co_await kind.co_wait(all);
}

constexpr unsigned workers = 2;
constexpr unsigned tasks = 8;

weft::fiber<> spawn_one(unsigned number, const shared_things& all, tally& counts) {
  const auto& [kind, which, first] = Teardown::GetParam();
  const unsigned worker = number % workers;
  if (which == half::coroutines) {
    return weft::co::spawn_on(worker, [&kind = kind, all, &counts, held = counted{counts}] {
      return co_wait_for(kind, *all, counts);
    });
  }
  return weft::spawn_on(worker, [&kind = kind, all, &counts, held = counted{counts}] {
    wait_for(kind, *all, counts);
  });
}

// Some with a handle that outlives the run, some without, and on each half of them one that has not
// begun when the run ends.
void leave_waiting(const shared_things& all, tally& counts, std::vector<weft::fiber<>>& handles) {
  for (unsigned i = 0; i < tasks; ++i) {
    auto task = spawn_one(i, all, counts);
    if (i / workers % 2 == 0) {
      handles.push_back(std::move(task));
    } else {
      task.detach();
    }
  }
  while (counts.begun < static_cast<int>(tasks)) yield();
  weft::testing::all_blocked();
  handles.push_back(spawn_one(0, all, counts));
  spawn_one(0, all, counts).detach();
}

TEST_P(Teardown, unwinds_each_task_once) {
  tally counts;
  std::vector<weft::fiber<>> handles;
  shared_things outside;
  const order first = std::get<order>(GetParam());
  {
    std::optional<weft::runtime> instance{std::in_place, weft::runtime_options{.workers = workers}};
    instance->run([&] {
      const auto all = std::make_shared<awaited_things>();
      if (first != order::things_during_the_run) outside = all;
      leave_waiting(all, counts, handles);
    });
    EXPECT_EQ(counts.begun, static_cast<int>(tasks));
    EXPECT_EQ(counts.unwound, static_cast<int>(tasks));
    for (const auto& each : handles) {
      // Completed if what it waited for, a lock or an end, has come by the end of another task.
      EXPECT_TRUE(each.state() == weft::fiber_state::cancelled ||
                  each.state() == weft::fiber_state::completed);
    }

    if (first == order::things_then_runtime) {
      // The functions of tasks go with their handles, and with them what they have captured.
      handles.clear();
      outside.reset();
      EXPECT_EQ(counts.alive, 0);
    }
  }
  outside.reset();
  handles.clear();
  EXPECT_EQ(counts.alive, 0);
}

}  // namespace
