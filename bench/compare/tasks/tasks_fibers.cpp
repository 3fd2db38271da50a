// Tasks as fibers of weft.
#include <cstdint>
#include <vector>

#include <weft/fiber.hpp>

#include "chain.hpp"
#include "meter.hpp"

namespace {

using task_bench::meter;

void parked(meter& measured) {
  weft::event release;
  std::vector<weft::fiber<>> tasks;
  tasks.reserve(measured.count());
  measured.before_tasks();
  for (std::uint32_t i = 0; i < measured.count(); ++i) {
    tasks.push_back(weft::spawn([&] { release.wait(); }));
  }
  weft::this_fiber::yield();  // all of them run, and wait
  measured.all_parked();
  release.set();
  for (auto& task : tasks) task.join();
}

void spawn(meter& measured) {
  std::vector<weft::fiber<>> tasks(measured.count());
  while (measured.more(measured.count())) {
    for (auto& task : tasks) task = weft::spawn([] {});
    for (auto& task : tasks) task.join();
  }
}

void chain(meter& measured) {
  const auto build = [depth = static_cast<int>(measured.count())] {
    task_bench::call_down(depth, [] { weft::this_fiber::yield(); });
  };
  bool over = false;
  auto other = weft::spawn([&] {
    while (!over) build();
  });
  while (measured.more(task_bench::chain_tasks * task_bench::chains_at_once)) {
    for (unsigned i = 0; i < task_bench::chains_at_once; ++i) build();
  }
  over = true;
  other.join();
}

task_bench::actions on_fibers() {
  const auto in_runtime = [](void (*action)(meter&)) {
    return [action](meter& measured) { weft::run([&] { action(measured); }); };
  };
  return {in_runtime(parked), in_runtime(spawn), in_runtime(chain)};
}

}  // namespace

int main(int argc, char** argv) {
  return task_bench::run("tasks-fibers", "Measures tasks that are fibers of weft.", argc, argv,
                         on_fibers());
}
