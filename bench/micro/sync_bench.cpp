// Question: what do the primitives cost that are safe across threads: a mutex pair, the hand-off of
// a mutex between fibers, a value through a channel?
// Baseline: a std::mutex pair, and weft's on a plain thread. A second thread is alive in all of
// them, or libc and weft would use no atomic operations.
// Unit: ns per pair, per hand-off (lock, yield, unlock), per round trip of two values over two
// unbuffered channels, per buffered item; median of the repetitions.
#include <latch>
#include <mutex>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include <weft/fiber.hpp>

namespace {

// A thread that sleeps as long as this lives.
class second_thread {
public:
  second_thread() : thread_([this] { end_.wait(); }) {}

  second_thread(const second_thread&) = delete;
  second_thread& operator=(const second_thread&) = delete;

  ~second_thread() {
    end_.count_down();
    thread_.join();
  }

private:
  std::latch end_{1};
  std::thread thread_;
};

template <class Mutex>
void lock_and_unlock(benchmark::State& state) {
  Mutex lock;
  for (auto _ : state) {
    lock.lock();
    benchmark::DoNotOptimize(lock);
    lock.unlock();
  }
}

void std_mutex_pair(benchmark::State& state) {
  const second_thread other;
  lock_and_unlock<std::mutex>(state);
}

void mutex_pair_of_a_fiber(benchmark::State& state) {
  const second_thread other;
  weft::run([&] { lock_and_unlock<weft::mutex>(state); });
}

void mutex_pair_of_a_thread(benchmark::State& state) {
  const second_thread other;
  lock_and_unlock<weft::mutex>(state);
}

void mutex_hand_off(benchmark::State& state) {
  const second_thread other;
  weft::run([&] {
    constexpr int fibers = 4;
    constexpr benchmark::IterationCount batch = 1024;
    weft::mutex lock;
    bool running = true;
    const auto turn = [&] {
      lock.lock();
      weft::this_fiber::yield();
      lock.unlock();
    };
    std::vector<weft::fiber<>> others;
    for (int i = 1; i < fibers; ++i) {
      others.push_back(weft::spawn([&] {
        while (running) turn();
      }));
    }
    // While this one has had its turn, so had each of the others.
    while (state.KeepRunningBatch(batch)) {
      for (int i = 0; i < batch / fibers; ++i) turn();
    }
    running = false;
    for (auto& each : others) each.join();
  });
}

void unbuffered_round_trip(benchmark::State& state) {
  const second_thread other;
  weft::run([&] {
    weft::channel<int> there, back;
    auto echo = weft::spawn([&] {
      while (const auto value = there.receive()) back.send(*value);
    });
    for (auto _ : state) {
      there.send(1);
      benchmark::DoNotOptimize(back.receive());
    }
    there.close();
    echo.join();
  });
}

void buffered_item(benchmark::State& state) {
  const second_thread other;
  weft::run([&] {
    weft::channel<int> items{static_cast<std::size_t>(state.range(0))};
    auto reader = weft::spawn([&] {
      while (const auto value = items.receive()) benchmark::DoNotOptimize(value);
    });
    for (auto _ : state) items.send(1);
    items.close();
    reader.join();
  });
}

BENCHMARK(std_mutex_pair)->Repetitions(5)->ReportAggregatesOnly(true);
BENCHMARK(mutex_pair_of_a_fiber)->Repetitions(5)->ReportAggregatesOnly(true);
BENCHMARK(mutex_pair_of_a_thread)->Repetitions(5)->ReportAggregatesOnly(true);
BENCHMARK(mutex_hand_off)->Repetitions(5)->ReportAggregatesOnly(true);
BENCHMARK(unbuffered_round_trip)->Repetitions(5)->ReportAggregatesOnly(true);
BENCHMARK(buffered_item)->Arg(16)->Arg(64)->Arg(1024)->Repetitions(5)->ReportAggregatesOnly(true);

}  // namespace
