// Tasks as fibers of Boost.Fiber, with stacks of 64 KiB.
#include <climits>
#include <cstddef>
#include <cstdint>
#include <malloc.h>
#include <memory>
#include <mutex>
#include <vector>

#include <boost/fiber/condition_variable.hpp>
#include <boost/fiber/fiber.hpp>
#include <boost/fiber/fixedsize_stack.hpp>
#include <boost/fiber/mutex.hpp>
#include <boost/fiber/operations.hpp>

#include "chain.hpp"
#include "meter.hpp"

namespace {

namespace fibers = boost::fibers;
using task_bench::meter;

constexpr std::size_t stack_bytes = std::size_t{64} * 1024;

template <typename Function>
fibers::fiber start(fibers::fixedsize_stack& stacks, Function function) {
  return fibers::fiber{fibers::launch::post, std::allocator_arg, stacks, std::move(function)};
}

void parked(meter& measured) {
  fibers::fixedsize_stack stacks{stack_bytes};
  fibers::mutex mutex;
  fibers::condition_variable release;
  bool released = false;
  std::vector<fibers::fiber> tasks;
  tasks.reserve(measured.count());
  measured.before_tasks();
  for (std::uint32_t i = 0; i < measured.count(); ++i) {
    tasks.push_back(start(stacks, [&] {
      std::unique_lock lock{mutex};
      release.wait(lock, [&] { return released; });
    }));
  }
  boost::this_fiber::yield();  // all of them run, and wait
  measured.all_parked();
  released = true;
  release.notify_all();
  for (fibers::fiber& task : tasks) task.join();
}

void spawn(meter& measured) {
  fibers::fixedsize_stack stacks{stack_bytes};
  std::vector<fibers::fiber> tasks(measured.count());
  while (measured.more(measured.count())) {
    for (fibers::fiber& task : tasks) task = start(stacks, [] {});
    for (fibers::fiber& task : tasks) task.join();
  }
}

void chain(meter& measured) {
  const auto build = [depth = static_cast<int>(measured.count())] {
    task_bench::call_down(depth, [] { boost::this_fiber::yield(); });
  };
  bool over = false;
  fibers::fiber other{[&] {
    while (!over) build();
  }};
  while (measured.more(task_bench::chain_tasks * task_bench::chains_at_once)) {
    for (unsigned i = 0; i < task_bench::chains_at_once; ++i) build();
  }
  over = true;
  other.join();
}

}  // namespace

int main(int argc, char** argv) {
  ::mallopt(M_TRIM_THRESHOLD, INT_MAX);  // stacks come from malloc: do not give them back each time
  return task_bench::run("tasks-boost-fiber", "Measures tasks that are fibers of Boost.Fiber.",
                         argc, argv, {parked, spawn, chain});
}
