// The machine context and registers: whatever the compiler keeps in one across a switch is still
// there, and a signal may come at any moment of it.
#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <pthread.h>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "support/runtime_fixture.hpp"

namespace {

using weft::spawn;
using weft::this_fiber::yield;

class ContextRegisters : public weft::test::runtime_test {};

// Makes the compiler forget what it knows of a value but that it is in a register.
template <class T>
T opaque(T value) {
  if constexpr (std::is_floating_point_v<T>) {
#ifdef __x86_64__
    asm volatile("" : "+x"(value));
#else
    asm volatile("" : "+w"(value));
#endif
  } else {
    asm volatile("" : "+r"(value));
  }
  return value;
}

// More live values than there are registers, some integers and some not, used before and after the
// switch, `depth` calls deep.
[[gnu::noinline]] std::uint64_t many_live_values(std::uint64_t seed, int depth) {
  const std::uint64_t a = opaque(seed + 1), b = opaque(seed * 3), c = opaque(seed ^ 0xabcdef),
                      d = opaque(seed << 7), e = opaque(~seed), f = opaque(seed + 0x1234567),
                      g = opaque(seed * 31), h = opaque(seed >> 3), i = opaque(seed - 9),
                      j = opaque(seed * seed), k = opaque(seed | 0x55), l = opaque(seed & 0xff00ff);
  const double p = opaque(static_cast<double>(seed) * 0.5),
               q = opaque(static_cast<double>(seed) + 0.25),
               r = opaque(static_cast<double>(seed) * 3), s = opaque(static_cast<double>(seed) - 8);

  if (depth > 0) {
    const std::uint64_t below = many_live_values(seed + 1, depth - 1);
    EXPECT_EQ(below, seed + 1);
  } else {
    yield();
  }

  const bool integers = a == seed + 1 && b == seed * 3 && c == (seed ^ 0xabcdef) &&
                        d == seed << 7 && e == ~seed && f == seed + 0x1234567 && g == seed * 31 &&
                        h == seed >> 3 && i == seed - 9 && j == seed * seed && k == (seed | 0x55) &&
                        l == (seed & 0xff00ff);
  const auto value = static_cast<double>(seed);
  const bool reals = p == value * 0.5 && q == value + 0.25 && r == value * 3 && s == value - 8;
  EXPECT_TRUE(integers);
  EXPECT_TRUE(reals);
  return integers && reals ? seed : ~seed;
}

TEST_F(ContextRegisters, live_values_survive_a_switch_many_calls_deep) {
  run([] {
    std::vector<weft::fiber<>> fibers;
    for (std::uint64_t i = 1; i <= 50; ++i) {
      fibers.push_back(spawn([i] {
        for (int turn = 0; turn < 50; ++turn) {
          const std::uint64_t seed = i * 0x9e3779b97f4a7c15;
          EXPECT_EQ(many_live_values(seed, turn % 12), seed);
        }
      }));
    }
    for (auto& each : fibers) each.join();
  });
}

// A leaf, apart from the yield on a path that the compiler must expect: it wants the red zone.
[[gnu::noinline]] std::uint64_t nearly_a_leaf(std::uint64_t seed, bool with_yield) {
  std::array<volatile std::uint64_t, 12> local;
  for (std::size_t i = 0; i < local.size(); ++i) local[i] = seed + i;
  if (with_yield) [[unlikely]] {
    yield();
  }
  std::uint64_t sum = 0;
  for (const auto each : local) sum += each;
  return sum;
}

TEST_F(ContextRegisters, locals_of_functions_that_look_like_leaves_survive_a_switch) {
  run([] {
    std::vector<weft::fiber<>> fibers;
    for (std::uint64_t i = 0; i < 20; ++i) {
      fibers.push_back(spawn([i] {
        for (std::uint64_t turn = 0; turn < 100; ++turn) {
          const std::uint64_t seed = i * 1'000 + turn;
          EXPECT_EQ(nearly_a_leaf(seed, turn % 2 == 0), 12 * seed + 66);
        }
      }));
    }
    for (auto& each : fibers) each.join();
  });
}

TEST_F(ContextRegisters, arrays_on_the_stacks_of_many_fibers_do_not_touch) {
  run([] {
    std::vector<weft::fiber<>> fibers;
    for (unsigned i = 0; i < 200; ++i) {
      fibers.push_back(spawn([i] {
        std::array<volatile unsigned char, 8'192> mine;
        for (auto& byte : mine) byte = static_cast<unsigned char>(i);
        for (int turn = 0; turn < 5; ++turn) yield();
        std::size_t intact = 0;
        for (const auto& byte : mine) intact += byte == static_cast<unsigned char>(i) ? 1 : 0;
        EXPECT_EQ(intact, mine.size());
      }));
    }
    for (auto& each : fibers) each.join();
  });
}

TEST_F(ContextRegisters, stacks_are_aligned_for_vector_instructions) {
  run([] {
    std::vector<weft::fiber<>> fibers;
    for (int i = 0; i < 40; ++i) {
      fibers.push_back(spawn([] {
        struct alignas(64) wide {
          volatile char bytes[64];
        };

        wide local{};
        local.bytes[63] = 1;
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&local) % 64, 0u);
        char text[32];
        // Spills vector registers with aligned moves.
        EXPECT_EQ(std::snprintf(text, sizeof text, "%.3f", opaque(0.5)), 5);
        yield();
      }));
    }
    for (auto& each : fibers) each.join();
  });
}

std::atomic<int> signals_handled{0};

extern "C" void count_signal(int /*signal*/) {
  // Uses a good deal of the stack it runs on, as a real handler would.
  volatile char local[512];
  for (std::size_t i = 0; i < sizeof local; ++i) local[i] = static_cast<char>(i);
  signals_handled.fetch_add(1, std::memory_order_relaxed);
}

TEST_F(ContextRegisters, a_signal_may_come_at_any_moment_of_a_switch) {
  struct sigaction action {};

  struct sigaction former {};

  // ThreadSanitizer holds signals back until the next call that it knows.
  constexpr int enough = weft::test::under_tsan ? 20 : 200;
  action.sa_handler = count_signal;
  action.sa_flags = SA_RESTART;
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &former), 0);
  signals_handled = 0;
  const pthread_t worker = ::pthread_self();
  std::atomic<bool> stop{false};
  std::thread sender{[&] {
    while (!stop.load()) {
      ::pthread_kill(worker, SIGUSR1);
      std::this_thread::yield();
    }
  }};

  run([] {
    std::vector<weft::fiber<>> fibers;
    for (std::uint64_t i = 1; i <= 10; ++i) {
      fibers.push_back(spawn([i] {
        while (signals_handled.load(std::memory_order_relaxed) < enough) {
          EXPECT_EQ(many_live_values(i, 2), i);
        }
      }));
    }
    for (auto& each : fibers) each.join();
  });
  stop = true;
  sender.join();
  ::sigaction(SIGUSR1, &former, nullptr);

  EXPECT_GE(signals_handled.load(), enough);
}

TEST_F(ContextRegisters, a_million_switches_leave_everything_as_it_was) {
  run([] {
    constexpr std::uint64_t turns =
        weft::test::under_asan || weft::test::under_tsan ? 20'000 : 500'000;
    const auto count = [] {
      std::uint64_t counter = opaque(std::uint64_t{0});
      double sum = opaque(0.0);
      for (std::uint64_t i = 0; i < turns; ++i) {
        ++counter;
        sum += 0.5;
        yield();
      }
      EXPECT_EQ(sum, static_cast<double>(turns) * 0.5);
      return counter;
    };
    auto first = spawn(count);
    auto second = spawn(count);

    first.join();
    second.join();

    EXPECT_EQ(first.result() + second.result(), 2 * turns);
  });
}

}  // namespace
