// Handles that plain threads join, cancel, ask, move and drop while the run of their fibers ends;
// the fibers have values of their own, which go with them, and values that they were handed down.
#include <atomic>
#include <cstdint>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>

#include <weft/co.hpp>

#include "stress/program.hpp"

namespace weft::test::stress {
namespace {

constexpr int answer = 5;

class handle_fair {
public:
  explicit handle_fair(outcome& result) : result_(result) {}

  // What a fiber does: fails, sleeps for ever, or answers.
  int live(std::uint64_t seed) {
    const counted here{begun_};
    dice random{seed};
    check_values();
    if (random.once_in(6)) throw planned_failure{};
    task_group group;
    if (random.once_in(3)) {
      group.spawn_anywhere([this, seed = random.seed()] { live_below(seed); });
    }
    if (random.once_in(6)) this_fiber::sleep_for(std::chrono::hours{1});
    this_fiber::yield();
    this_fiber::sleep_for(random.short_time());
    check_values();
    return answer;
  }

  co::task<int> co_live(std::uint64_t seed) {
    const counted here{begun_};
    dice random{seed};
    check_values();
    if (random.once_in(6)) throw planned_failure{};
    if (random.once_in(6)) co_await co::sleep_for(std::chrono::hours{1});
    auto child = co::spawn_anywhere([this]() -> co::task<> {
      check_values();
      co_await co::yield();
      check_values();
    });
    co_await child.co_join();
    co_await co::sleep_for(random.short_time());
    check_values();
    co_return answer;
  }

  // What a plain thread does with a handle.
  void handle(fiber<int>& each, dice& random) {
    std::error_code ec;
    result_.count_operation();
    switch (random.below(7)) {
    case 0: return each.request_cancel();
    case 1: each.request_cancel(); return each.join();
    case 2: {
      const timeout limit{random.limit()};
      return each.join(ec);
    }
    case 3: {
      const fiber<int> dropped = std::move(each);
      return;
    }
    case 4: return each.detach();
    case 5:
      if (each.done()) check_result(each);
      return;
    default:
      each.request_cancel();
      each.join();
      check_result(each);
    }
  }

  void run(runtime& instance, dice& random, std::vector<std::vector<fiber<int>>>& handles,
           std::atomic<bool>& all_there) {
    instance.run([&] {
      const context_binding bound{handed_down_, answer};
      for (std::size_t i = 20 + random.below(60); i != 0; --i) {
        auto& whose = handles[i % handles.size()];
        const std::uint64_t seed = random.seed();
        if (random.once_in(2)) {
          whose.push_back(spawn_anywhere([this, seed] { return live(seed); }));
        } else {
          whose.push_back(co::spawn_anywhere([this, seed] { return co_live(seed); }));
        }
      }
      all_there = true;
      for (std::size_t i = random.below(200); i != 0; --i) this_fiber::yield();
      if (random.once_in(4)) this_fiber::sleep_for(random.limit());
    });
  }

  void check() {
    result_.expect_equal("fibers left", static_cast<std::uint64_t>(begun_.load()), 0);
    result_.expect_equal("values of fibers left", static_cast<std::uint64_t>(values_.load()), 0);
  }

private:
  // A value of a fiber, whose destructor waits and spawns.
  struct own_value {
    explicit own_value(handle_fair& home) noexcept : fair(&home), here(home.values_) {}

    own_value(const own_value&) = delete;
    own_value& operator=(const own_value&) = delete;

    ~own_value() {
      std::error_code ec;
      this_fiber::sleep_for(std::chrono::microseconds{-1}, ec);
      const auto child = spawn(
          {}, [counted = counted{fair->values_}] {}, ec);
    }

    handle_fair* fair;
    counted here;
    int uses = 0;
  };

  void live_below(std::uint64_t seed) {
    dice random{seed};
    check_values();
    std::error_code ec;
    const shield kept_off;
    this_fiber::sleep_for(random.short_time(), ec);
    if (random.once_in(3)) throw planned_failure{};
  }

  void check_values() {
    result_.expect(handed_down_.get() == answer, "a context value is handed down");
    auto& mine = *own_;
    if (!mine) mine = std::make_unique<own_value>(*this);
    ++mine->uses;
    result_.expect(mine->uses <= 3, "a fiber has a value of its own");
  }

  void check_result(fiber<int>& each) {
    try {
      result_.expect(each.result() == answer, "a handle has the answer of its fiber");
    } catch (...) {
      result_.expect(is_expected(std::current_exception()), "a fiber fails as it may");
    }
  }

  outcome& result_;
  std::atomic<std::int64_t> begun_ = 0, values_ = 0;
  context_value<int> handed_down_{0};
  fiber_local<std::unique_ptr<own_value>> own_;
};

}  // namespace

void hand_out_handles(dice& random, outcome& result) {
  constexpr std::size_t owners = 3;
  handle_fair fair{result};
  std::vector<std::vector<fiber<int>>> handles(owners);
  std::atomic<bool> all_there = false;
  std::vector<std::thread> threads;
  for (auto& mine : handles) {
    threads.emplace_back([&, seed = random.seed()] {
      dice own{seed};
      while (!all_there) std::this_thread::yield();
      for (auto& each : mine) fair.handle(each, own);
      mine.clear();
    });
  }
  auto instance = std::make_unique<runtime>(
      runtime_options{.workers = 1 + static_cast<unsigned>(random.below(3))});
  fair.run(*instance, random, handles, all_there);
  if (random.once_in(2)) instance.reset();
  for (auto& each : threads) each.join();
  instance.reset();
  fair.check();
}

}  // namespace weft::test::stress
