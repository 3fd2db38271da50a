// Question: what does it cost a thread to wake a fiber on a worker that is busy?
// Baseline: a locked exchange, of which such a wake-up needs three: the lock of the event, the
// claim of the wait, the push to the worker's inbox. Unit: ns per event that is set, on the side of
// the waker, median of the repetitions.
#include <atomic>
#include <chrono>
#include <deque>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include <weft/fiber.hpp>

namespace {

void locked_exchange(benchmark::State& state) {
  std::atomic<int> word = 0;
  for (auto _ : state) benchmark::DoNotOptimize(word.exchange(1));
}

// A worker with fibers that wait for an event each, and one that never rests.
class busy_worker {
public:
  static constexpr std::size_t sleepers = 1'000;

  busy_worker() : thread_([this] { weft::run([this] { work(); }); }) {}

  busy_worker(const busy_worker&) = delete;
  busy_worker& operator=(const busy_worker&) = delete;

  ~busy_worker() {
    stop_ = true;
    for (auto& each : events_) each.set();
    thread_.join();
  }

  // Until all of them wait again.
  void await_sleepers() const {
    while (waiting_ != sleepers) std::this_thread::yield();
  }

  std::deque<weft::event>& events() noexcept { return events_; }

  void all_woken() noexcept { waiting_ -= sleepers; }

private:
  void work() {
    std::vector<weft::fiber<>> fibers;
    for (auto& each : events_) {
      fibers.push_back(weft::spawn([this, &each] {
        while (!stop_) {
          ++waiting_;
          each.wait();
          each.reset();
        }
      }));
    }
    while (!stop_) weft::this_fiber::yield();
    for (auto& each : fibers) each.join();
  }

  std::deque<weft::event> events_{sleepers};
  std::atomic<std::size_t> waiting_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

void wake_busy_worker(benchmark::State& state) {
  busy_worker worker;
  for (auto _ : state) {
    worker.await_sleepers();
    worker.all_woken();
    const auto start = std::chrono::steady_clock::now();
    for (auto& each : worker.events()) each.set();
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    state.SetIterationTime(passed.count() / busy_worker::sleepers);
  }
}

BENCHMARK(locked_exchange)->Repetitions(5)->ReportAggregatesOnly(true);
BENCHMARK(wake_busy_worker)
    ->Iterations(2'000)
    ->Repetitions(5)
    ->UseManualTime()
    ->ReportAggregatesOnly(true);

}  // namespace
