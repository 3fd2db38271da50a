// Context values: who sees which binding, how long a value lives, what it costs those without.
#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "copied_functions.hpp"
#include "on_both.hpp"
#include "players.hpp"
#include "scheduler.hpp"

namespace {

using namespace std::chrono_literals;
using weft::context_binding;
using weft::context_value;
using weft::spawn;
using weft::spawn_on;
using weft::this_fiber::yield;

class ContextValue : public weft::test::on_both_test {};

using ContextValueDeath = ContextValue;

TEST_F(ContextValue, without_a_binding_it_is_the_default) {
  on_both([] {
    const context_value<int> number;
    const context_value<std::string> text{"none"};

    EXPECT_EQ(number.get(), 0);
    EXPECT_EQ(text.get(), "none");
    EXPECT_FALSE(text.bound());
  });
}

TEST_F(ContextValue, a_binding_holds_until_the_end_of_its_block) {
  on_both([] {
    const context_value<std::string> key{"outside"};
    {
      const context_binding outer{key, "outer"};
      EXPECT_EQ(key.get(), "outer");
      EXPECT_TRUE(key.bound());
      {
        const context_binding inner{key, "inner"};
        EXPECT_EQ(key.get(), "inner");
      }
      EXPECT_EQ(key.get(), "outer");
    }
    EXPECT_EQ(key.get(), "outside");
    EXPECT_FALSE(key.bound());
  });
}

TEST_F(ContextValue, keys_do_not_disturb_each_other) {
  on_both([] {
    const context_value<int> one{1};
    const context_value<int> two{2};
    const context_binding first{one, 10};
    const context_binding second{two, 20};
    const context_binding third{one, 100};

    EXPECT_EQ(one.get(), 100);
    EXPECT_EQ(two.get(), 20);
  });
}

TEST_F(ContextValue, may_be_of_a_type_that_can_only_be_moved) {
  on_both([] {
    const context_value<std::unique_ptr<int>> key;
    EXPECT_EQ(key.get(), nullptr);

    const context_binding bound{key, std::make_unique<int>(7)};

    EXPECT_EQ(*key.get(), 7);
  });
}

TEST_F(ContextValue, an_exception_that_leaves_the_block_ends_the_binding) {
  on_both([] {
    const context_value<int> key;
    try {
      const context_binding bound{key, 1};
      throw std::out_of_range("leaving");
    } catch (const std::out_of_range&) {
      EXPECT_EQ(key.get(), 0);
    }
  });
}

TEST_F(ContextValue, a_key_that_comes_after_another_at_its_place_has_nothing_of_its_values) {
  on_both([] {
    std::optional<context_value<int>> key{std::in_place, 1};
    const context_binding bound{*key, 10};

    key.emplace(2);

    EXPECT_EQ(key->get(), 2);
  });
}

// ---- inheriting --------------------------------------------------------------------------------

TEST_F(ContextValue, a_fiber_sees_what_was_bound_when_it_was_spawned_and_keeps_it) {
  run([] {
    const context_value<std::string> key{"none"};
    std::vector<std::string> seen;
    weft::fiber<> child;
    {
      const context_binding bound{key, "at the spawn"};
      child = spawn([&] {
        seen.push_back(key.get());
        yield();
        seen.push_back(key.get());
      });
      const context_binding later{key, "later"};
      yield();
    }
    child.join();

    EXPECT_EQ(seen, std::vector<std::string>(2, "at the spawn"));
  });
}

TEST_F(ContextValue, what_a_fiber_binds_is_seen_by_its_own_children_only) {
  run([] {
    const context_value<int> key;
    int grandchilds = 0;
    auto child = spawn([&] {
      const context_binding bound{key, 1};
      auto grandchild = spawn([&] { grandchilds = key.get(); });
      grandchild.join();
      for (int i = 0; i < 5; ++i) yield();
    });
    auto sibling = spawn([&] {
      yield();
      return key.get();
    });
    yield();

    EXPECT_EQ(key.get(), 0);
    child.join();
    sibling.join();
    EXPECT_EQ(grandchilds, 1);
    EXPECT_EQ(sibling.result(), 0);
  });
}

TEST_F(ContextValue, a_child_binds_on_top_of_what_it_inherited) {
  run([] {
    const context_value<int> one;
    const context_value<int> two;
    const context_binding outer{one, 1};
    auto child = spawn([&] {
      const context_binding inner{two, 2};
      return std::pair{one.get(), two.get()};
    });
    child.join();

    EXPECT_EQ(child.result(), std::pair(1, 2));
    EXPECT_EQ(two.get(), 0);
  });
}

TEST_F(ContextValue, is_inherited_on_other_workers_by_groups_and_by_detached_fibers) {
  run(
      [] {
        const context_value<int> key;
        std::atomic<int> sum = 0;
        const auto add = [&] { sum += key.get(); };
        {
          const context_binding bound{key, 1};
          weft::task_group group;
          group.spawn(add);
          group.spawn_on(1, add);
          group.spawn_anywhere(add);
          spawn(add).detach();
          spawn_on(1, add).detach();
        }
        weft::test::wait_until([&] { return sum == 5; });
        weft::test::wait_until([] { return weft::test::live_fibers() == 0; });
      },
      {.workers = 2});
}

TEST_F(ContextValue, the_main_fiber_inherits_from_the_thread_that_runs_it) {
  const context_value<int> key;
  const context_binding bound{key, 7};

  run([&] {
    EXPECT_EQ(key.get(), 7);
    const context_binding inner{key, 8};
    EXPECT_EQ(key.get(), 8);
  });

  EXPECT_EQ(key.get(), 7);
}

TEST_F(ContextValue, what_a_plain_thread_posts_inherits_from_that_thread) {
  const context_value<int> key;
  weft::runtime worker;
  std::thread other;

  worker.run([&] {
    std::atomic<int> posted = 0;
    std::atomic<int> spawned = 0;
    other = std::thread([&] {
      const context_binding bound{key, 7};
      worker.post([&] { posted = key.get(); });
      spawned = worker.spawn([&] { return key.get(); }).get();
    });
    while (spawned == 0) weft::this_fiber::sleep_for(100us);
    EXPECT_EQ(posted, 7);
    EXPECT_EQ(spawned, 7);
  });
  other.join();
}

TEST_F(ContextValue, a_new_thread_inherits_nothing) {
  const context_value<int> key;
  const context_binding bound{key, 7};
  int seen = -1;

  std::thread{[&] { seen = key.get(); }}.join();

  EXPECT_EQ(seen, 0);
}

TEST_F(ContextValue, a_worker_that_ran_a_fiber_with_values_gives_none_to_the_next) {
  run([] {
    const context_value<int> key;
    {
      const context_binding bound{key, 7};
      spawn([] {}).join();
    }
    auto next = spawn([&] { return key.get(); });
    next.join();

    EXPECT_EQ(next.result(), 0);
  });
}

// ---- how long a value lives --------------------------------------------------------------------

struct counted {
  explicit counted(std::atomic<int>* which = nullptr) : alive(which) {
    if (alive != nullptr) ++*alive;
  }

  counted(counted&& other) noexcept : alive(std::exchange(other.alive, nullptr)) {}

  counted& operator=(counted&&) = delete;

  ~counted() {
    if (alive != nullptr) --*alive;
  }

  std::atomic<int>* alive;
};

TEST_F(ContextValue, a_value_lives_as_long_as_somebody_sees_it) {
  run([] {
    std::atomic<int> alive = 0;
    const context_value<counted> key;
    bool may_end = false;
    weft::fiber<> child;
    {
      const context_binding bound{key, counted{&alive}};
      EXPECT_EQ(alive, 1);
      child = spawn([&] {
        while (!may_end) yield();
        EXPECT_EQ(key.get().alive, &alive);
      });
    }
    EXPECT_EQ(alive, 1);

    may_end = true;
    child.join();

    EXPECT_EQ(alive, 0);
  });
}

TEST_F(ContextValue, a_fiber_that_never_starts_gives_its_values_up) {
  std::atomic<int> alive = 0;
  const context_value<counted> key;
  {
    weft::runtime never_run;
    const context_binding bound{key, counted{&alive}};
    never_run.post([] {});
  }
  run([&] {
    const context_binding bound{key, counted{&alive}};
    auto cancelled = spawn([] {});
    cancelled.request_cancel();
    cancelled.join();
    const weft::test::throws_when_copied function;
    EXPECT_THROW(static_cast<void>(spawn(function)), std::runtime_error);
  });

  EXPECT_EQ(alive, 0);
}

TEST_F(ContextValue, the_destructor_of_a_value_may_wait_and_spawn) {
  run([] {
    struct waits {
      explicit waits(bool* which = nullptr) : destroyed(which) {}

      waits(waits&& other) noexcept : destroyed(std::exchange(other.destroyed, nullptr)) {}

      waits& operator=(waits&&) = delete;

      ~waits() {
        if (destroyed == nullptr) return;
        spawn([] { yield(); }).join();
        *destroyed = true;
      }

      bool* destroyed;
    };

    bool destroyed = false;
    const context_value<waits> key;
    auto child = [&] {
      const context_binding bound{key, waits{&destroyed}};
      return spawn([] {});
    }();
    child.join();

    EXPECT_TRUE(destroyed);
  });
}

TEST_F(ContextValue, a_fiber_without_bindings_has_nothing_to_carry) {
  run([] {
    const context_value<int> key;
    const auto carries_something = [] {
      return weft::detail::scheduler::running()->current().extras != nullptr;
    };
    auto without = spawn(carries_something);
    without.join();
    {
      const context_binding bound{key, 1};
      auto with = spawn(carries_something);
      with.join();
      EXPECT_TRUE(with.result());
    }
    auto after = spawn(carries_something);
    after.join();

    EXPECT_FALSE(without.result());
    EXPECT_FALSE(after.result());
  });
}

// ---- misuse and load ---------------------------------------------------------------------------

// Ends the first of two bindings first.
void leave_in_the_wrong_order() {
  const context_value<int> key;
  std::optional<context_binding<int>> first{std::in_place, key, 1};
  const context_binding second{key, 2};
  first.reset();
}

void leave_on_another_fiber() {
  weft::run([] {
    const context_value<int> key;
    std::optional<context_binding<int>> bound{std::in_place, key, 1};
    spawn({.name = "thief"}, [&] {
      const context_binding of_its_own{key, 2};
      bound.reset();
    }).join();
  });
}

TEST_F(ContextValueDeath, bindings_that_end_in_the_wrong_order_end_the_process) {
  EXPECT_EXIT((enter_death_test(), leave_in_the_wrong_order()), testing::KilledBySignal(SIGABRT),
              "context binding was left");
}

TEST_F(ContextValueDeath, a_binding_that_another_fiber_ends_ends_the_process) {
  EXPECT_EXIT((enter_death_test(), leave_on_another_fiber()), testing::KilledBySignal(SIGABRT),
              "left by another task.*\"thief\"");
}

TEST_F(ContextValue, fibers_of_all_workers_share_values_while_bindings_come_and_go) {
  weft::test::seeded random{weft::test::new_seed()};
  std::atomic<int> alive = 0;
  const context_value<counted> tracked;
  const context_value<unsigned> depth{0};
  run(
      [&] {
        weft::task_group group;
        struct nest {
          weft::task_group& group;
          const context_value<unsigned>& depth;
          unsigned expected;
          unsigned left;

          void operator()() const {
            EXPECT_EQ(depth.get(), expected);
            if (left == 0) return;
            const context_binding bound{depth, expected + 1};
            group.spawn_on(left % 3, nest{group, depth, expected + 1, left - 1});
            yield();
            EXPECT_EQ(depth.get(), expected + 1);
          }
        };
        for (int i = 0; i < weft::test::stress_operations / 20; ++i) {
          const context_binding bound{tracked, counted{&alive}};
          group.spawn_on(random.below(3), nest{group, depth, 0, random.below(6)});
          if (random.below(4) == 0) yield();
        }
        group.join();
      },
      {.workers = 3});
  EXPECT_EQ(alive, 0);
}

}  // namespace
