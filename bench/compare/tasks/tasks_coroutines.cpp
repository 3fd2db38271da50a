// Tasks as coroutines of weft.
#include <cstdint>
#include <vector>

#include <weft/co.hpp>

#include "chain.hpp"
#include "meter.hpp"

namespace {

namespace co = weft::co;
using task_bench::meter;

co::task<> parked(meter& measured) {
  weft::event release;
  std::vector<weft::fiber<>> tasks;
  tasks.reserve(measured.count());
  measured.before_tasks();
  const auto wait = [&]() -> co::task<> { co_await release.co_wait(); };
  for (std::uint32_t i = 0; i < measured.count(); ++i) tasks.push_back(co::spawn(wait));
  co_await co::yield();  // all of them run, and wait
  measured.all_parked();
  release.set();
  for (auto& task : tasks) co_await task.co_join();
}

co::task<> nothing() { co_return; }

co::task<> spawn(meter& measured) {
  std::vector<weft::fiber<>> tasks(measured.count());
  while (measured.more(measured.count())) {
    for (auto& task : tasks) task = co::spawn(nothing());
    for (auto& task : tasks) co_await task.co_join();
  }
}

co::task<int> await_down(int depth) {
  if (depth == 1) {
    co_await co::yield();
  } else {
    depth = 1 + co_await await_down(depth - 1);
  }
  task_bench::hide(depth);
  co_return depth;
}

co::task<> build_until(const bool& over, int depth) {
  while (!over) co_await await_down(depth);
}

co::task<> chain(meter& measured) {
  const int depth = static_cast<int>(measured.count());
  bool over = false;
  auto other = co::spawn(build_until(over, depth));
  while (measured.more(task_bench::chain_tasks * task_bench::chains_at_once)) {
    for (unsigned i = 0; i < task_bench::chains_at_once; ++i) co_await await_down(depth);
  }
  over = true;
  co_await other.co_join();
}

task_bench::actions in_coroutines() {
  const auto in_runtime = [](co::task<> (*action)(meter&)) {
    return [action](meter& measured) { co::block_on(action(measured)); };
  };
  return {in_runtime(parked), in_runtime(spawn), in_runtime(chain)};
}

}  // namespace

int main(int argc, char** argv) {
  return task_bench::run("tasks-coroutines", "Measures tasks that are coroutines of weft.", argc,
                         argv, in_coroutines());
}
