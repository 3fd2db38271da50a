// Tasks as threads, with stacks of 64 KiB.
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <pthread.h>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "chain.hpp"
#include "meter.hpp"

namespace {

using task_bench::meter;

constexpr std::size_t stack_bytes = std::size_t{64} * 1024;

void use_small_stacks() {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, stack_bytes);
  ::pthread_setattr_default_np(&attributes);
  ::pthread_attr_destroy(&attributes);
}

// Threads that wait to be let go, however many of them could be started.
class waiting_threads {
public:
  explicit waiting_threads(std::uint32_t most) { threads_.reserve(most); }

  ~waiting_threads() {
    {
      std::lock_guard lock{mutex_};
      released_ = true;
    }
    release_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void start() {
    threads_.emplace_back([this] {
      std::unique_lock lock{mutex_};
      ++parked_;
      all_.notify_one();
      release_.wait(lock, [this] { return released_; });
    });
  }

  void wait_until_all_are_parked() {
    std::unique_lock lock{mutex_};
    all_.wait(lock, [this] { return parked_ == threads_.size(); });
  }

private:
  std::mutex mutex_;
  std::condition_variable all_;
  std::condition_variable release_;
  std::size_t parked_ = 0;
  bool released_ = false;
  std::vector<std::thread> threads_;
};

void parked(meter& measured) {
  waiting_threads tasks{measured.count()};
  measured.before_tasks();
  for (std::uint32_t i = 0; i < measured.count(); ++i) {
    try {
      tasks.start();
    } catch (const std::system_error& error) {
      throw std::runtime_error("no thread after " + std::to_string(i) + ": " + error.what());
    }
  }
  tasks.wait_until_all_are_parked();
  measured.all_parked();
}

void spawn(meter& measured) {
  std::vector<std::thread> tasks(measured.count());
  while (measured.more(measured.count())) {
    for (std::thread& task : tasks) task = std::thread{[] {}};
    for (std::thread& task : tasks) task.join();
  }
}

// A thread gives way to another one by waking it and waiting for it: sched_yield(2) need not
// switch.
void chain(meter& measured) {
  const int depth = static_cast<int>(measured.count());
  std::binary_semaphore turn_of_one{0};
  std::binary_semaphore turn_of_other{0};
  std::atomic<bool> over{false};  // read and written in turns
  std::thread other{[&] {
    turn_of_other.acquire();
    while (!over) {
      task_bench::call_down(depth, [&] {
        turn_of_one.release();
        turn_of_other.acquire();
      });
    }
  }};
  while (measured.more(task_bench::chain_tasks * task_bench::chains_at_once)) {
    for (unsigned i = 0; i < task_bench::chains_at_once; ++i) {
      task_bench::call_down(depth, [&] {
        turn_of_other.release();
        turn_of_one.acquire();
      });
    }
  }
  over = true;
  turn_of_other.release();
  other.join();
}

}  // namespace

int main(int argc, char** argv) {
  use_small_stacks();
  return task_bench::run("tasks-threads", "Measures tasks that are threads with small stacks.",
                         argc, argv, {parked, spawn, chain});
}
