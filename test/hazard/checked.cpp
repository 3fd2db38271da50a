// What the tests of valgrind and ThreadSanitizer run: fibers on two workers that switch, throw,
// come and go, deep and shallow, and coroutines between them. With an argument one of them does
// what should be reported: `use-after-free`, or `race`. Prints "done" at its end.
#include <array>
#include <atomic>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <weft/co.hpp>
#include <weft/fiber.hpp>

namespace {

// Uses a kilobyte of the stack at each level, and gives way at the deepest.
[[gnu::noinline]] int descend(int levels) {
  std::array<volatile int, 256> frame;
  for (auto& each : frame) each = levels;
  if (levels == 0) {
    weft::this_fiber::yield();
  } else {
    frame[0] = descend(levels - 1) + 1;
  }
  return frame[0];
}

void throw_across_a_switch() {
  try {
    throw std::runtime_error("thrown");
  } catch (const std::runtime_error& error) {
    weft::this_fiber::yield();
    if (std::string_view{error.what()} != "thrown") std::puts("another was caught");
  }
}

weft::co::task<int> add_up(weft::channel<int>& numbers) {
  int sum = 0;
  for (int i = 0; i < 100; ++i) sum += (co_await numbers.co_receive()).value();
  co_return sum;
}

void exercise_one_worker() {
  std::vector<weft::fiber<>> fibers;
  for (int i = 0; i < 40; ++i) {
    fibers.push_back(weft::spawn([i] {
      if (descend(i * 4) != i * 4) std::puts("a wrong depth");
      throw_across_a_switch();
    }));
  }
  for (auto& each : fibers) each.join();
  weft::channel<int> numbers;
  auto sum = weft::co::spawn(add_up(numbers));
  for (int i = 0; i < 100; ++i) numbers.send(i);
  sum.join();
  if (sum.result() != 4950) std::puts("a wrong sum");
}

void exercise() {
  auto elsewhere = weft::spawn_on(1, exercise_one_worker);
  for (int round = 0; round < 3; ++round) exercise_one_worker();
  elsewhere.join();
}

// ---- what is wrong on purpose ------------------------------------------------------------------

[[gnu::noinline]] void read_what_is_gone() {
  auto number = std::make_unique<int>(7);
  int* volatile kept = number.get();  // volatile: or the compiler would find it, too
  number.reset();
  weft::this_fiber::yield();
  std::printf("%d\n", *kept);
}

int shared_without_a_lock = 0;
// Relaxed, so that it orders nothing: the first has written.
std::atomic<bool> first_has_written{false};

void race() {
  auto first = weft::spawn_on(1, {.name = "first racer"}, [] {
    shared_without_a_lock = 1;
    first_has_written.store(true, std::memory_order_relaxed);
  });
  auto second = weft::spawn({.name = "second racer"}, [] {
    while (!first_has_written.load(std::memory_order_relaxed)) {
    }
    shared_without_a_lock = 2;
  });
  second.join();
  first.join();
  std::printf("%d\n", shared_without_a_lock);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view fault = argc > 1 ? argv[1] : "";
  weft::run(
      [&] {
        exercise();
        if (fault == "use-after-free") weft::spawn({.name = "reader"}, read_what_is_gone).join();
        if (fault == "race") race();
      },
      {.workers = 2});
  std::puts("done");
}
