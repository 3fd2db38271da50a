// Coroutines that wait for others when there is no memory: whatever fails, those that were spawned
// have ended.
#include <array>
#include <chrono>
#include <cstddef>
#include <new>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>

#include "limited_memory.hpp"
#include "net_fixture.hpp"
#include "support/runtime_fixture.hpp"

namespace weft::test {
namespace {

using namespace std::chrono_literals;
using co::task;

// Counts the tasks that have started and not ended.
class counted {
public:
  explicit counted(int& live) noexcept : live_(live) { ++live_; }

  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;

  ~counted() { --live_; }

private:
  int& live_;
};

task<int> one_turn_of(int& live) {
  const counted here{live};
  co_await co::yield();
  co_return 1;
}

task<int> turn_after_another(int& live) { co_return co_await one_turn_of(live); }

task<> sleep() { co_await co::sleep_for(24h); }

task<> sleep_until_cancelled(int& live) {
  const counted here{live};
  co_await sleep();
}

// Returns whether it succeeds after so many allocations.
task<bool> has_enough(long allocations, task<> tried) {
  bool out_of_memory = false;
  try {
    const limited_memory few{allocations};
    co_await std::move(tried);
  } catch (const std::bad_alloc&) {
    out_of_memory = true;
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::not_enough_memory);
    out_of_memory = true;
  }
  co_return !out_of_memory;
}

class CoOutOfMemory : public runtime_test {
protected:
  // Those of several failures that nobody retrieves are reported; the sink itself needs no memory.
  void SetUp() override {
    runtime_test::SetUp();
    fixture_sink_ = set_diagnostics_sink([this](std::string_view line) {
      if (line.starts_with("a co::task was dropped")) ++tasks_dropped_;
    });
  }

  void TearDown() override {
    set_diagnostics_sink(std::move(fixture_sink_));
    runtime_test::TearDown();
  }

  // Runs `make(live)` with ever more memory until it has enough. Returns how often it had not. Each
  // in a runtime of its own, whose cache of frames is empty.
  template <class Make>
  long failures_until_enough(const Make& make) {
    for (long allocations = 0; allocations < 100; ++allocations) {
      SCOPED_TRACE(allocations);
      int live = 0;
      const bool enough = run([&] {
        auto trying = co::spawn(has_enough(allocations, make(live)));
        trying.join();
        return trying.result();
      });
      EXPECT_EQ(live, 0);
      EXPECT_EQ(tasks_dropped_, 0);
      if (enough) return allocations;
    }
    ADD_FAILURE() << "it never had enough";
    return 0;
  }

  int tasks_dropped_ = 0;

private:
  diagnostics_sink fixture_sink_;
};

// ---- the first or all ---------------------------------------------------------------------------

template <class T>
task<> await_and_drop(task<T> awaited) {
  co_await std::move(awaited);
}

TEST_F(CoOutOfMemory, all_of_several_tasks_fails_once_they_have_ended) {
  EXPECT_GT(failures_until_enough([](int& live) {
              return await_and_drop(
                  co::when_all(turn_after_another(live), one_turn_of(live), one_turn_of(live)));
            }),
            0);
}

TEST_F(CoOutOfMemory, all_of_many_tasks_fails_once_they_have_ended) {
  EXPECT_GT(failures_until_enough([](int& live) {
              std::vector<task<int>> tasks;
              for (int i = 0; i < 20; ++i) tasks.push_back(one_turn_of(live));
              return await_and_drop(co::when_all(std::move(tasks)));
            }),
            0);
}

TEST_F(CoOutOfMemory, the_first_of_several_tasks_fails_once_they_have_ended) {
  EXPECT_GT(failures_until_enough([](int& live) {
              return await_and_drop(co::when_any(sleep_until_cancelled(live), one_turn_of(live),
                                                 sleep_until_cancelled(live)));
            }),
            0);
}

TEST_F(CoOutOfMemory, the_first_of_many_tasks_fails_once_they_have_ended) {
  EXPECT_GT(failures_until_enough([](int& live) {
              std::vector<task<int>> tasks;
              for (int i = 0; i < 20; ++i) tasks.push_back(one_turn_of(live));
              return await_and_drop(co::when_any(std::move(tasks)));
            }),
            0);
}

// A task whose arguments cannot all be had is never awaited: that is said, with what there is.
TEST_F(CoOutOfMemory, all_of_tasks_one_of_which_cannot_be_made_never_begins) {
  run([this] {
    int live = 0;
    const limited_memory few{1};
    EXPECT_THROW(static_cast<void>(co::when_all(one_turn_of(live), one_turn_of(live))),
                 std::bad_alloc);
    EXPECT_EQ(live, 0);
    EXPECT_EQ(tasks_dropped_, 1);
  });
}

// ---- streams ------------------------------------------------------------------------------------

TEST_F(CoOutOfMemory, a_stream_keeps_nothing_of_a_write_that_fails) {
  for (int frames = 0; frames < 8; ++frames) {
    run([&] {
      auto [left, right] = weft_unix_pair();
      net::stream out{std::move(left), {.high_water = 16}};
      out.write(bytes_of("aaaaaaaaaa"));
      auto writing = co::spawn([&]() -> task<> {
        std::size_t written = 0;
        try {
          const limited_memory few{frames};
          written = co_await out.co_write(bytes_of("bbbbbbbbbb"));
        } catch (const std::bad_alloc&) {
          EXPECT_EQ(out.pending(), 10u);
        }
        if (written == 0) written = co_await out.co_write(bytes_of("bbbbbbbbbb"));
        EXPECT_EQ(written, 10u);
        co_await out.co_shutdown();
      });
      writing.join();
      writing.result();
      std::error_code ec;

      EXPECT_EQ(read_to_end(right, ec), "aaaaaaaaaabbbbbbbbbb");
    });
  }
}

TEST_F(CoOutOfMemory, a_stream_keeps_what_a_read_that_fails_would_have_taken) {
  for (int frames = 0; frames < 8; ++frames) {
    run([&] {
      auto [left, right] = weft_unix_pair();
      net::stream in{std::move(left)};
      right.write("a line\nabc");
      EXPECT_EQ(in.read_line(), "a line\n");  // the rest is in its buffer
      in.write(bytes_of("flushed before it waits"));
      right.write("def");
      auto reading = co::spawn([&]() -> task<> {
        std::array<std::byte, 6> buffer{};
        std::size_t count = 0;
        try {
          const limited_memory few{frames};
          count = co_await in.co_read(buffer);
        } catch (const std::bad_alloc&) {
          EXPECT_EQ(count, 0u);
        }
        if (count == 0) count = co_await in.co_read(buffer);
        EXPECT_EQ(text_of(std::span{buffer}.first(count)), "abcdef");
      });
      reading.join();
      reading.result();
    });
  }
}

// ---- groups -------------------------------------------------------------------------------------

task<> spawn_some(task_group& group, int& live) {
  for (int i = 0; i < 10; ++i) {
    group.spawn([&] { return sleep_until_cancelled(live); });
    co_await co::yield();
  }
  group.request_cancel();
}

TEST_F(CoOutOfMemory, a_block_with_a_group_fails_once_its_tasks_have_ended) {
  EXPECT_GT(failures_until_enough([](int& live) {
              return co::with_task_group(
                  [&live](task_group& group) { return spawn_some(group, live); });
            }),
            0);
}

TEST_F(CoOutOfMemory, a_group_can_be_joined) {
  run([] {
    auto joining = co::spawn([]() -> task<> {
      int live = 0;
      task_group group;
      for (int i = 0; i < 3; ++i) group.spawn(one_turn_of(live));
      co_await co::yield();
      EXPECT_EQ(live, 3);
      {
        const limited_memory none{0};
        co_await group.co_join();
      }
      EXPECT_EQ(live, 0);
    });
    joining.join();

    joining.result();
  });
}

TEST_F(CoOutOfMemory, a_group_can_be_joined_by_a_caller_that_is_cancelled) {
  run([] {
    auto joining = co::spawn([]() -> task<> {
      int live = 0;
      std::error_code ec;
      task_group group;
      for (int i = 0; i < 3; ++i) group.spawn(sleep_until_cancelled(live));
      co_await co::yield();
      EXPECT_EQ(live, 3);
      {
        const limited_memory none{0};
        co_await group.co_join(ec);
      }
      EXPECT_EQ(ec, errc::cancelled);
      EXPECT_EQ(live, 0);
    });
    testing::all_blocked();

    joining.request_cancel();
    joining.join();

    joining.result();
  });
}

TEST_F(CoOutOfMemory, a_group_whose_coroutine_has_failed_can_be_joined) {
  run([] {
    auto joining = co::spawn([]() -> task<> {
      int live = 0;
      task_group group;
      group.spawn(sleep_until_cancelled(live));
      group.spawn([]() -> task<> {
        co_await co::yield();
        throw std::bad_alloc();
      });
      bool failed = false;
      try {
        const limited_memory none{0};
        co_await group.co_join();
      } catch (const std::bad_alloc&) {
        failed = true;
      }
      EXPECT_TRUE(failed);
      EXPECT_EQ(live, 0);
    });
    joining.join();

    joining.result();
  });
}

}  // namespace
}  // namespace weft::test
