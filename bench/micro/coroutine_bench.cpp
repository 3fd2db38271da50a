// Question: what do coroutines cost beside fibers: to await a child that need not wait, to give
// way, to start and to end? Baseline: the same with fibers, in the same run; for the awaited child
// a plain call that the compiler may not inline. Unit: ns of CPU per operation, median of the
// repetitions.
#include <chrono>
#include <cstdio>
#include <string>
#include <unistd.h>
#include <vector>

#include <benchmark/benchmark.h>

#include <weft/co.hpp>

namespace {

namespace co = weft::co;

constexpr int batch = 1024;

[[gnu::noinline]] int called(int value) {
  benchmark::DoNotOptimize(value);
  return value + 1;
}

co::task<int> awaited(int value) {
  benchmark::DoNotOptimize(value);
  co_return value + 1;
}

void call_of_a_function(benchmark::State& state) {
  int sum = 0;
  for (auto _ : state) sum += called(sum);
  benchmark::DoNotOptimize(sum);
}

co::task<> await_children(benchmark::State& state) {
  int sum = 0;
  for (auto _ : state) sum += co_await awaited(sum);
  benchmark::DoNotOptimize(sum);
}

void await_of_a_ready_child(benchmark::State& state) {
  weft::run([&] { co::block_on(await_children(state)); });
}

// ---- the memory of a frame ----------------------------------------------------------------------

constexpr std::size_t frame_size = 256;

void frame_from_the_cache(benchmark::State& state) {
  weft::run([&] {
    for (auto _ : state) {
      void* const frame = weft::detail::allocate_frame(frame_size);
      benchmark::DoNotOptimize(frame);
      weft::detail::free_frame(frame, frame_size);
    }
  });
}

void frame_from_the_heap(benchmark::State& state) {
  for (auto _ : state) {
    void* const frame = weft::detail::new_frame(frame_size);
    benchmark::DoNotOptimize(frame);
    weft::detail::delete_frame(frame);
  }
}

// ---- deep chains -------------------------------------------------------------------------------

[[gnu::noinline]] void call_down(int depth) {
  if (depth == 0) return weft::this_fiber::yield();
  call_down(depth - 1);
  benchmark::DoNotOptimize(depth);
}

co::task<> await_down(int depth) {
  if (depth == 0) {
    co_await co::yield();
  } else {
    co_await await_down(depth - 1);
  }
}

// So many calls deep it gives way to a task that does the same.
void yield_in_a_chain_of_fibers(benchmark::State& state) {
  const int depth = static_cast<int>(state.range(0));
  weft::run([&] {
    bool running = true;
    auto other = weft::spawn([&] {
      while (running) call_down(depth);
    });
    for (auto _ : state) call_down(depth);
    running = false;
    other.join();
  });
}

co::task<> await_down_again(const bool& running, int depth) {
  while (running) co_await await_down(depth);
}

co::task<> await_down_measured(benchmark::State& state, int depth) {
  for (auto _ : state) co_await await_down(depth);
}

void yield_in_a_chain_of_coroutines(benchmark::State& state) {
  const int depth = static_cast<int>(state.range(0));
  weft::run([&] {
    bool running = true;
    auto other = co::spawn(await_down_again(running, depth));
    auto measured = co::spawn(await_down_measured(state, depth));
    measured.join();
    running = false;
    other.join();
  });
}

// ---- giving way --------------------------------------------------------------------------------

void give_way(int times) {
  for (int i = 0; i < times; ++i) weft::this_fiber::yield();
}

co::task<> co_give_way(int times) {
  for (int i = 0; i < times; ++i) co_await co::yield();
}

// `spawn(times)` starts a task that gives way so often.
template <class Spawn>
void yield_among(benchmark::State& state, Spawn&& spawn) {
  const auto count = static_cast<std::size_t>(state.range(0));
  const int times = static_cast<int>(100'000 / count);
  weft::run([&] {
    for (auto _ : state) {
      std::vector<weft::fiber<>> tasks;
      for (std::size_t i = 0; i < count; ++i) tasks.push_back(spawn(times));
      for (auto& each : tasks) each.join();
    }
  });
  state.SetItemsProcessed(state.iterations() * times * static_cast<std::int64_t>(count));
}

void yield_of_fibers(benchmark::State& state) {
  yield_among(state, [](int times) { return weft::spawn([times] { give_way(times); }); });
}

void yield_of_coroutines(benchmark::State& state) {
  yield_among(state, [](int times) { return co::spawn(co_give_way(times)); });
}

// ---- from the start to the end -----------------------------------------------------------------

co::task<> nothing() { co_return; }

void spawn_and_join_a_fiber(benchmark::State& state) {
  weft::run([&] {
    for (auto _ : state) weft::spawn([] {}).join();
  });
}

void spawn_and_join_a_coroutine(benchmark::State& state) {
  weft::run([&] {
    for (auto _ : state) co::spawn(nothing()).join();
  });
}

co::task<> spawn_and_await(benchmark::State& state) {
  for (auto _ : state) {
    auto task = co::spawn(nothing());
    co_await task.co_join();
  }
}

void spawn_and_join_in_a_coroutine(benchmark::State& state) {
  weft::run([&] { co::spawn(spawn_and_await(state)).join(); });
}

template <class Spawn>
void spawn_many(benchmark::State& state, Spawn&& spawn) {
  weft::run([&] {
    std::vector<weft::fiber<>> tasks;
    for (auto _ : state) {
      for (int i = 0; i < batch; ++i) tasks.push_back(spawn());
      for (auto& each : tasks) each.join();
      tasks.clear();
    }
  });
  state.SetItemsProcessed(state.iterations() * batch);
}

void spawn_many_fibers(benchmark::State& state) {
  spawn_many(state, [] { return weft::spawn([] {}); });
}

void spawn_many_coroutines(benchmark::State& state) {
  spawn_many(state, [] { return co::spawn(nothing()); });
}

constexpr int repetitions = 5;

BENCHMARK(call_of_a_function)->Repetitions(repetitions)->ReportAggregatesOnly(true);
BENCHMARK(await_of_a_ready_child)->Repetitions(repetitions)->ReportAggregatesOnly(true);
BENCHMARK(frame_from_the_cache)->Repetitions(repetitions)->ReportAggregatesOnly(true);
BENCHMARK(frame_from_the_heap)->Repetitions(repetitions)->ReportAggregatesOnly(true);
BENCHMARK(yield_of_fibers)
    ->Arg(2)
    ->Arg(100)
    ->Arg(10'000)
    ->Repetitions(repetitions)
    ->ReportAggregatesOnly(true);
BENCHMARK(yield_of_coroutines)
    ->Arg(2)
    ->Arg(100)
    ->Arg(10'000)
    ->Repetitions(repetitions)
    ->ReportAggregatesOnly(true);
BENCHMARK(yield_in_a_chain_of_fibers)
    ->Arg(1)
    ->Arg(10)
    ->Arg(100)
    ->Repetitions(repetitions)
    ->ReportAggregatesOnly(true);
BENCHMARK(yield_in_a_chain_of_coroutines)
    ->Arg(1)
    ->Arg(10)
    ->Arg(100)
    ->Repetitions(repetitions)
    ->ReportAggregatesOnly(true);
BENCHMARK(spawn_and_join_a_fiber)->Repetitions(repetitions)->ReportAggregatesOnly(true);
BENCHMARK(spawn_and_join_a_coroutine)->Repetitions(repetitions)->ReportAggregatesOnly(true);
BENCHMARK(spawn_and_join_in_a_coroutine)->Repetitions(repetitions)->ReportAggregatesOnly(true);
BENCHMARK(spawn_many_fibers)->Repetitions(repetitions)->ReportAggregatesOnly(true);
BENCHMARK(spawn_many_coroutines)->Repetitions(repetitions)->ReportAggregatesOnly(true);

}  // namespace
