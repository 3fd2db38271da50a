// The column of State Threads (libst 1.9), on poll(2): Debian's package is built without epoll.
//
// It has one scheduler a process, which belongs to the thread that has called st_init(): all its
// benches run there. It has no call that gives way to whoever is ready: st_usleep(0) does so by way
// of poll(2). So among the tasks that take turns each hands its turn to the next, by the condition
// variable that this one waits for, which is the quickest way there is.
#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <st.h>
#include <stdexcept>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include "rows.hpp"

namespace weft::bench {
namespace {

constexpr const char* peer = "state-threads";

// The thread that State Threads run on.
class home_thread {
public:
  home_thread() : thread_([this] { serve(); }) {}

  home_thread(const home_thread&) = delete;
  home_thread& operator=(const home_thread&) = delete;

  ~home_thread() {
    call({});
    thread_.join();
  }

  // Returns when it has been done there.
  void call(std::function<void()> what) {
    std::unique_lock hold{lock_};
    asked_ = std::move(what);
    has_been_asked_ = true;
    changed_.notify_all();
    changed_.wait(hold, [this] { return !has_been_asked_; });
  }

private:
  void serve() {
    st_set_eventsys(ST_EVENTSYS_POLL);
    const bool works = st_init() == 0;
    std::unique_lock hold{lock_};
    for (bool serves = true; serves; changed_.notify_all()) {
      changed_.wait(hold, [this] { return has_been_asked_; });
      serves = asked_ != nullptr;
      if (serves && works) asked_();
      has_been_asked_ = false;
    }
  }

  std::mutex lock_;
  std::condition_variable changed_;
  std::function<void()> asked_;
  bool has_been_asked_ = false;
  std::thread thread_;  // last: it uses the others
};

home_thread& home() {
  static home_thread it;
  return it;
}

class condition {
public:
  condition() = default;
  condition(const condition&) = delete;
  condition& operator=(const condition&) = delete;

  ~condition() { st_cond_destroy(it_); }

  void wait() noexcept { st_cond_wait(it_); }

  void signal() noexcept { st_cond_signal(it_); }

private:
  st_cond_t it_ = st_cond_new();
};

// A State Thread, joined at the end.
class joined {
public:
  template <class Function>
  explicit joined(Function& function)
      : it_{st_thread_create(
            [](void* call) -> void* {
              (*static_cast<Function*>(call))();
              return nullptr;
            },
            &function, 1, stack_bytes)} {
    if (it_ == nullptr) throw std::runtime_error{"st_thread_create"};
  }

  joined(joined&& other) noexcept : it_{std::exchange(other.it_, nullptr)} {}

  joined& operator=(joined&&) = delete;

  ~joined() {
    if (it_ != nullptr) st_thread_join(it_, nullptr);
  }

private:
  st_thread_t it_;
};

// A task in a ring of such that take turns.
struct member {
  struct hand_on {
    member& mine;

    void operator()() const noexcept {
      mine.next->turn.signal();
      mine.turn.wait();
    }
  };

  condition turn;
  member* next = nullptr;
  std::size_t count = 0;  // of the ring
  const bool* running = nullptr;

  void operator()() {
    turn.wait();
    turns{count, hand_on{*this}}.take_while(*running);
    next->turn.signal();
  }
};

void yield_among(benchmark::State& state, std::size_t count, bool random) {
  bool running = true;
  std::vector<member> others(count - 1);
  member mine;
  member* last = &mine;
  for (const std::size_t each : waking_order(others.size(), random)) {
    others[each].count = count;
    others[each].running = &running;
    last->next = &others[each];
    last = last->next;
  }
  last->next = &mine;
  std::vector<joined> threads;
  threads.reserve(others.size());
  for (auto& each : others) threads.emplace_back(each);
  st_usleep(0);  // all wait for their turn
  turns{count, member::hand_on{mine}}.take_measured(state);
  running = false;
  member::hand_on{mine}();
}

void spawn_and_join(benchmark::State& state) {
  auto nothing = [] {};
  for (auto _ : state) joined{nothing};
}

void spawn_and_join_many(benchmark::State& state) {
  auto nothing = [] {};
  std::vector<joined> tasks;
  tasks.reserve(many);
  while (state.KeepRunningBatch(many)) {
    for (std::size_t i = 0; i < many; ++i) tasks.emplace_back(nothing);
    tasks.clear();
  }
}

// State Threads have no channel: what one would make of their condition variables.
class channel {
public:
  explicit channel(std::size_t capacity) : values_(capacity) {}

  void send(int value) {
    while (count_ == values_.size()) has_room_.wait();
    values_[(first_ + count_++) % values_.size()] = value;
    has_value_.signal();
  }

  int receive() {
    while (count_ == 0) has_value_.wait();
    const int value = values_[first_];
    first_ = (first_ + 1) % values_.size();
    --count_;
    has_room_.signal();
    return value;
  }

private:
  std::vector<int> values_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  condition has_value_;
  condition has_room_;
};

constexpr int last_value = -1;

// Of one place: the sender goes on before its value was taken, which costs less than to wait.
void round_trip(benchmark::State& state) {
  channel there{1};
  channel back{1};
  auto echo = [&] {
    for (int value = there.receive(); value != last_value; value = there.receive()) {
      back.send(value);
    }
  };
  const joined other{echo};
  for (auto _ : state) {
    there.send(1);
    benchmark::DoNotOptimize(back.receive());
  }
  there.send(last_value);
}

void buffered_item(benchmark::State& state) {
  channel items{channel_capacity};
  auto read_all = [&] {
    for (int value = items.receive(); value != last_value; value = items.receive()) {
      benchmark::DoNotOptimize(value);
    }
  };
  const joined reader{read_all};
  for (auto _ : state) items.send(1);
  items.send(last_value);
}

class mutex {
public:
  mutex() = default;
  mutex(const mutex&) = delete;
  mutex& operator=(const mutex&) = delete;

  ~mutex() { st_mutex_destroy(it_); }

  void lock() noexcept { st_mutex_lock(it_); }

  void unlock() noexcept { st_mutex_unlock(it_); }

private:
  st_mutex_t it_ = st_mutex_new();
};

void mutex_hand_off(benchmark::State& state) {
  mutex lock;
  bool running = true;
  mutex_turns all{lock, [] { st_usleep(0); }};
  auto take_turns_too = [&] { all.take_while(running); };
  std::vector<joined> others;
  for (std::size_t i = 1; i < mutex_users; ++i) others.emplace_back(take_turns_too);
  all.take_measured(state);
  running = false;
}

// The process ends with the figure: the sleepers stay.
double cpu_per_sleep(std::size_t sleepers) {
  struct sleeper {
    std::size_t number;
    std::uint64_t* sleeps;

    void operator()() const {
      sleep_lengths lengths{number};
      for (;;) {
        st_usleep(static_cast<st_utime_t>(lengths.next_milliseconds()) * 1'000);
        ++*sleeps;
      }
    }
  };

  static std::uint64_t sleeps = 0;
  static std::vector<sleeper> all;
  for (std::size_t i = 0; i < sleepers; ++i) all.push_back({i, &sleeps});
  for (auto& each : all) {
    const auto run = [](void* it) -> void* {
      (*static_cast<sleeper*>(it))();
      return nullptr;
    };
    if (st_thread_create(run, &each, 0, stack_bytes) == nullptr) {
      throw std::runtime_error{"st_thread_create"};
    }
  }
  return cpu_of_a_sleep(sleeps,
                        [](double seconds) { st_usleep(static_cast<st_utime_t>(seconds * 1e6)); });
}

double bytes_of_a_parked_task() {
  constexpr std::size_t count = 10'000;
  static std::vector<condition> events(count);
  const double before = resident_bytes();
  for (auto& each : events) {
    const auto wait = [](void* event) -> void* {
      static_cast<condition*>(event)->wait();
      return nullptr;
    };
    if (st_thread_create(wait, &each, 0, stack_bytes) == nullptr) {
      throw std::runtime_error{"st_thread_create"};
    }
  }
  st_usleep(0);  // all of them run, and wait
  return (resident_bytes() - before) / count;
}

void add_here(const char* row, measurement measure) {
  add(row, peer, [measure = std::move(measure)](benchmark::State& state) {
    home().call([&] {
      try {
        measure(state);
      } catch (const std::exception& error) {
        state.SkipWithError(error.what());
      }
    });
  });
}

void add_here_in_process(const char* row, double (*measure)()) {
  add_in_process(row, peer, [measure] {
    double figure = 0;
    home().call([&] { figure = measure(); });
    return figure;
  });
}

}  // namespace

void add_state_threads() {
  add_here(row::yield_2, [](auto& state) { yield_among(state, 2, false); });
  add_here(row::yield_100, [](auto& state) { yield_among(state, 100, false); });
  add_here(row::yield_10000, [](auto& state) { yield_among(state, 10'000, false); });
  add_here(row::yield_10000_random, [](auto& state) { yield_among(state, 10'000, true); });
  add_here(row::spawn_and_join, spawn_and_join);
  add_here(row::spawn_and_join_1000, spawn_and_join_many);
  add_here(row::unbuffered, round_trip);
  add_here(row::buffered, buffered_item);
  add_here(row::mutex, mutex_hand_off);
  add_here_in_process(row::sleep_10000, [] { return cpu_per_sleep(10'000); });
  add_here_in_process(row::sleep_100000, [] { return cpu_per_sleep(100'000); });
  add_here_in_process(row::parked, bytes_of_a_parked_task);
}

}  // namespace weft::bench
