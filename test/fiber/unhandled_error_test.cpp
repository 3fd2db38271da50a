// Exceptions that nobody retrieves: who is told, with what, and that it is told once.
#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "players.hpp"
#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using weft::set_unhandled_error_handler;
using weft::spawn;
using weft::spawn_on;
using weft::unhandled_error;
using weft::this_fiber::yield;

// What a handler was told.
struct told {
  std::string name;
  weft::fiber_id id{};
  std::exception_ptr exception;
};

class UnhandledError : public weft::test::runtime_test {
protected:
  void SetUp() override {
    runtime_test::SetUp();
    set_unhandled_error_handler([this](const unhandled_error& error) {
      const std::lock_guard hold{lock_};
      seen_.push_back({std::string(error.fiber_name), error.id, error.exception});
    });
  }

  void TearDown() override {
    set_unhandled_error_handler({});
    EXPECT_TRUE(take().empty()) << "errors that the test does not expect";
    runtime_test::TearDown();
  }

  std::vector<told> take() {
    const std::lock_guard hold{lock_};
    return std::exchange(seen_, {});
  }

private:
  std::mutex lock_;  // guards `seen_`
  std::vector<told> seen_;
};

void fail() { throw std::out_of_range("the reason"); }

TEST_F(UnhandledError, the_handler_gets_the_name_the_id_and_the_exception) {
  run([this] {
    weft::fiber_id id{};
    {
      auto child = spawn({.name = "failing"}, fail);
      id = child.get_id();
      child.join();
      EXPECT_TRUE(take().empty());
    }

    const auto seen = take();
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].name, "failing");
    EXPECT_EQ(seen[0].id, id);
    EXPECT_THROW(std::rethrow_exception(seen[0].exception), std::out_of_range);
  });
}

TEST_F(UnhandledError, the_handler_is_told_of_detached_fibers_and_of_those_posted) {
  weft::runtime worker;
  worker.post(fail);
  worker.run([this] {
    spawn(fail).detach();
    yield();
    EXPECT_EQ(take().size(), 2u);
  });
}

TEST_F(UnhandledError, it_is_not_told_of_what_was_retrieved) {
  run([] {
    auto by_result = spawn(fail);
    auto by_exception = spawn(fail);
    by_result.join();
    by_exception.join();

    EXPECT_THROW(by_result.result(), std::out_of_range);
    EXPECT_NE(by_exception.exception(), nullptr);
  });
}

TEST_F(UnhandledError, a_look_at_the_state_does_not_retrieve_it) {
  run([this] {
    {
      auto child = spawn(fail);
      child.join();
      EXPECT_EQ(child.state(), weft::fiber_state::failed);
    }
    EXPECT_EQ(take().size(), 1u);
  });
}

TEST_F(UnhandledError, a_cancelled_fiber_is_none) {
  run([] {
    auto parked = spawn([] { weft::this_fiber::sleep_for(24h); });
    yield();
    auto unstarted = spawn([] {});
  });
}

TEST_F(UnhandledError, setting_a_handler_returns_the_one_before) {
  int calls = 0;
  auto fixtures = set_unhandled_error_handler([&](const unhandled_error&) { ++calls; });
  ASSERT_TRUE(fixtures);

  auto ours = set_unhandled_error_handler({});
  ASSERT_TRUE(ours);
  EXPECT_FALSE(static_cast<bool>(set_unhandled_error_handler(fixtures)));

  fixtures({"by hand", {}, nullptr});
  ours({"by hand", {}, nullptr});
  EXPECT_EQ(take().size(), 1u);
  EXPECT_EQ(calls, 1);
}

TEST_F(UnhandledError, without_a_handler_it_is_one_line_on_the_diagnostics_sink) {
  set_unhandled_error_handler({});
  run([] { spawn({.name = "failing"}, fail).join(); });

  const auto lines = take_diagnostics();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("\"failing\""), std::string::npos) << lines[0];
  EXPECT_NE(lines[0].find("the reason"), std::string::npos) << lines[0];
}

TEST_F(UnhandledError, what_the_handler_throws_is_one_line_with_both_reasons) {
  set_unhandled_error_handler(
      [](const unhandled_error&) { throw std::runtime_error("the handler's own"); });
  run([] { spawn({.name = "failing"}, fail).join(); });

  const auto lines = take_diagnostics();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("the handler's own"), std::string::npos) << lines[0];
  EXPECT_NE(lines[0].find("\"failing\""), std::string::npos) << lines[0];
  EXPECT_NE(lines[0].find("the reason"), std::string::npos) << lines[0];
}

TEST_F(UnhandledError, the_handler_may_drop_another_that_has_failed) {
  weft::fiber<> other;
  std::vector<std::string> names;
  set_unhandled_error_handler([&](const unhandled_error& error) {
    names.emplace_back(error.fiber_name);
    other = {};
  });

  run([&] {
    other = spawn({.name = "other"}, fail);
    other.join();
    spawn({.name = "first"}, fail).join();
  });

  EXPECT_EQ(names, (std::vector<std::string>{"first", "other"}));
}

TEST_F(UnhandledError, the_handler_may_set_another) {
  std::vector<int> calls;
  set_unhandled_error_handler([&](const unhandled_error&) {
    calls.push_back(1);
    set_unhandled_error_handler([&](const unhandled_error&) { calls.push_back(2); });
  });

  run([] {
    spawn(fail).join();
    spawn(fail).join();
  });

  EXPECT_EQ(calls, (std::vector{1, 2}));
}

TEST_F(UnhandledError, the_handler_is_told_once_of_each_from_all_workers_while_it_is_replaced) {
  constexpr unsigned workers = 3;
  constexpr int each = weft::test::stress_operations / 20;
  std::atomic<int> calls = 0;
  std::mutex lock;
  std::set<weft::fiber_id> ids;
  const auto note = [&](const unhandled_error& error) {
    ++calls;
    const std::lock_guard hold{lock};
    ids.insert(error.id);
  };
  set_unhandled_error_handler(note);

  run(
      [&] {
        weft::task_group group;
        for (unsigned w = 0; w < workers; ++w) {
          group.spawn_on(w, [&] {
            for (int i = 0; i < each; ++i) {
              spawn(fail).join();
              spawn(fail).detach();
              if (i % 10 == 0) set_unhandled_error_handler(note);
              yield();
            }
          });
        }
        group.join();
        weft::test::wait_until([&] { return calls == 2 * each * static_cast<int>(workers); });
      },
      {.workers = workers});

  EXPECT_EQ(ids.size(), 2u * each * workers);
}

}  // namespace
