#include "execution.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <linux/futex.h>
#include <span>
#include <sys/single_threaded.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include "forbidden.hpp"
#include "schedule_point.hpp"
#include "trace.hpp"

// Who runs is handed on by bare futex calls, and this file is compiled without ThreadSanitizer:
// that sees only what the core itself orders. At both ends of a run it is told what goes without
// saying.
#ifdef WEFT_MODEL_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#ifdef WEFT_MODEL_SANITIZED
#include <sanitizer/common_interface_defs.h>
#endif

#ifdef WEFT_MODEL_SANITIZED
// UndefinedBehaviorSanitizer has a runtime of its own, which knows of no callback.
extern "C" const char* __ubsan_default_options();  // NOLINT(bugprone-reserved-identifier): its name

extern "C" const char* __ubsan_default_options() { return "abort_on_error=1"; }
#endif
#ifdef WEFT_MODEL_TSAN
// A report fails the run that it is about. A run that a signal ends, of an access to nowhere, says
// so from its handler, which takes memory.
extern "C" const char* __tsan_default_options();  // NOLINT(bugprone-reserved-identifier): its name

extern "C" const char* __tsan_default_options() { return "halt_on_error=1:report_signal_unsafe=0"; }
#endif

namespace weft::model {
namespace {

constexpr std::size_t most_steps = 200'000;
constexpr std::size_t most_threads = 16;
constexpr unsigned longest_run = 60;  // seconds of real time; a run takes some milliseconds
constexpr std::chrono::milliseconds horizon{500};
constexpr int nobody = -1;  // the thread that made the run

void release_to_run([[maybe_unused]] void* what) noexcept {
#ifdef WEFT_MODEL_TSAN
  __tsan_release(what);
#endif
}

void acquire_of_run([[maybe_unused]] void* what) noexcept {
#ifdef WEFT_MODEL_TSAN
  __tsan_acquire(what);
#endif
}

// A turn to run, given by one thread to another.
class baton {
public:
  void give() noexcept {
    word_.store(1, std::memory_order_release);
    ::syscall(SYS_futex, &word_, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, nullptr, nullptr, 0);
  }

  void take() noexcept {
    while (word_.load(std::memory_order_acquire) == 0) {
      ::syscall(SYS_futex, &word_, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, nullptr, nullptr, 0);
    }
    word_.store(0, std::memory_order_relaxed);
  }

private:
  std::atomic<std::uint32_t> word_{0};
};

}  // namespace

enum class thread_state : std::uint8_t { ready, asleep, ended };

struct thread_record {
  const char* name = "";
  int number = 0;
  thread_state state = thread_state::ready;
  sleep_kind kind = sleep_kind::futex;
  bool timed_out = false;
  std::uint64_t key = 0;
  time_point deadline;
  std::size_t deadline_step = 0;
  std::source_location where;  // it sleeps there
  const void* loaded_from = nullptr;
  std::uint64_t loaded = 0;
  baton turn;
};

namespace {

// A thread of the system that carries threads of runs, one after the other.
struct carrier {
  baton job;
  thread_record* record = nullptr;
  std::function<void()> body;
  std::thread system_thread;  // the last one: it uses the others
};

struct run_state {
  std::string model;
  strategy* how = nullptr;
  std::array<thread_record, most_threads> records;
  std::size_t thread_count = 0;
  int current = nobody;
  baton all_ended;
  std::size_t steps = 0;
  std::uint64_t fingerprint = 0;
  std::size_t asleep_for_change = 0;
  time_point clock{std::chrono::hours{1000}};
  time_point begun;
  trace seen;
  std::array<option, most_threads> option_space;
  std::size_t option_count = 0;
  std::deque<carrier> carriers;
  std::size_t carriers_used = 0;
  bool failing = false;

  std::span<thread_record> threads() noexcept { return {records.data(), thread_count}; }

  std::span<const option> options() const noexcept { return {option_space.data(), option_count}; }
};

// Never destroyed: the carriers wait in it when the process ends. What the threads of a run do with
// it allocates nothing: ThreadSanitizer, which does not see who runs when, looks at that too.
run_state& state = *new run_state;

thread_local thread_record* self = nullptr;

thread_record& record_of(int number) noexcept {
  return state.records[static_cast<std::size_t>(number)];
}

// ---- failure -----------------------------------------------------------------------------------

const char* name_of(sleep_kind kind) noexcept {
  constexpr std::array names{"a futex", "an atomic to change", "anything to change",
                             "the end of a thread", "events"};
  return names[static_cast<std::size_t>(kind)];
}

void describe_threads() noexcept {
  for (const thread_record& each : state.threads()) {
    if (each.state == thread_state::asleep) {
      std::fprintf(stderr, "  %s sleeps for %s\n", each.name, name_of(each.kind));
    } else {
      std::fprintf(stderr, "  %s %s\n", each.name,
                   each.state == thread_state::ended ? "has ended" : "could run");
    }
  }
}

void report(const std::string& why) noexcept {
  if (std::exchange(state.failing, true)) std::_Exit(1);
  std::fprintf(stderr, "model %s failed: %s\nits threads:\n", state.model.c_str(), why.c_str());
  describe_threads();
  std::array<const char*, most_threads> names{};
  for (const thread_record& each : state.threads()) {
    names[static_cast<std::size_t>(each.number)] = each.name;
  }
  std::fprintf(stderr, "trace:\n");
  state.seen.print(stderr, names);
  const std::string schedule = state.how != nullptr ? state.how->name() : "none";
  std::fprintf(stderr, "model %s failed: %s\nschedule %s; again: weft-model --model %s --seed %s\n",
               state.model.c_str(), why.c_str(), schedule.c_str(), state.model.c_str(),
               schedule.c_str());
  std::fflush(nullptr);
}

// Of the run: what is planted, and what the core itself finds wrong, may end in one.
void fail_on_signal(int number) {
  if (number == SIGALRM) {
    report("it stands still");
    std::_Exit(1);
  }
  report("signal " + std::to_string(number) + (number == SIGABRT ? " (abort)" : ""));
  std::_Exit(1);
}

void fail_when_it_dies() noexcept {
  for (const int each : {SIGSEGV, SIGBUS, SIGABRT, SIGALRM}) std::signal(each, fail_on_signal);
#ifdef WEFT_MODEL_SANITIZED
  __sanitizer_set_death_callback([] { report("what the sanitizer has reported"); });
#endif
}

// ---- choosing ----------------------------------------------------------------------------------

void add_option(int number, bool deadline) noexcept {
  state.option_space[state.option_count++] = {number, deadline};
}

void list_options() noexcept {
  state.option_count = 0;
  const bool current_ready =
      state.current != nobody && record_of(state.current).state == thread_state::ready;
  if (current_ready) add_option(state.current, false);
  const int count = static_cast<int>(state.thread_count);
  for (int i = 0; i < count; ++i) {
    if (i != state.current && record_of(i).state == thread_state::ready) add_option(i, false);
  }
  const bool somebody_ready = state.option_count != 0;
  for (int i = 0; i < count; ++i) {
    const thread_record& each = record_of(i);
    if (each.state != thread_state::asleep || each.deadline > state.begun + horizon) continue;
    if (!somebody_ready || state.steps >= each.deadline_step) add_option(i, true);
  }
}

// Returns who goes on; nobody when all have ended.
int choose() {
  list_options();
  const auto options = state.options();
  if (options.empty()) {
    for (const thread_record& each : state.threads()) {
      if (each.state != thread_state::ended) fail("nobody can go on");
    }
    return nobody;
  }
  const bool can_go_on = options[0].thread == state.current && !options[0].deadline;
  const std::size_t index =
      options.size() == 1 ? 0 : state.how->pick({options, can_go_on, state.steps});
  if (index >= options.size()) fail("it is not like the run before, whose schedule it repeats");
  const option taken = options[index];
  thread_record& thread = record_of(taken.thread);
  if (taken.deadline) {
    state.clock = std::max(state.clock, thread.deadline);
    thread.state = thread_state::ready;
    thread.timed_out = true;
  }
  return taken.thread;
}

void count_step() noexcept {
  if (++state.steps > most_steps) fail("it does not end");
}

// Lets whoever is chosen go on, and returns when that is the caller again.
void let_run(thread_record& mine) noexcept {
  const int former = state.current;
  const int next = choose();
  if (next == former) return;
  state.current = next;
  record_of(next).turn.give();
  mine.turn.take();
}

void mix(std::uint64_t value) noexcept {
  state.fingerprint = (state.fingerprint ^ value) * 0x100000001b3;  // FNV-1a
}

void remember(const char* what, const void* object, std::uint64_t before, std::uint64_t after,
              const std::source_location& where) noexcept {
  mix((static_cast<std::uint64_t>(state.current) << 32) + where.line());
  state.seen.add({state.current, what, object, before, after, where});
}

void carry(carrier& mine) noexcept {
  for (;;) {
    mine.job.take();
    begin_thread(*mine.record);
    mine.body();
    mine.body = nullptr;
    end_thread();
  }
}

}  // namespace

// ---- a run -------------------------------------------------------------------------------------

execution::execution(std::string model, strategy& how) {
  // The shortcuts of a process with a single thread are not what is to be explored.
  __libc_single_threaded = 0;
  fail_when_it_dies();
  state.model = std::move(model);
  state.how = &how;
  state.thread_count = 0;
  state.current = nobody;
  state.carriers_used = 0;
  state.steps = 0;
  state.fingerprint = 0xcbf29ce484222325;
  state.asleep_for_change = 0;
  state.begun = state.clock;
  state.seen.clear();
  free_what_was_kept();
}

execution::~execution() { state.how = nullptr; }

void execution::thread(const char* name, std::function<void()> body) {
  if (state.carriers_used == state.carriers.size()) {
    carrier& fresh = state.carriers.emplace_back();
    fresh.system_thread = std::thread{[&fresh] { carry(fresh); }};
  }
  carrier& mine = state.carriers[state.carriers_used++];
  mine.body = std::move(body);
  mine.record = &announce_thread(name);
  mine.job.give();
}

void execution::go() {
  ::alarm(longest_run);
  release_to_run(&state.steps);
  state.current = choose();
  record_of(state.current).turn.give();
  state.all_ended.take();
  acquire_of_run(&state);
  ::alarm(0);
}

std::size_t execution::steps() const noexcept { return state.steps; }

std::uint64_t execution::fingerprint() const noexcept { return state.fingerprint; }

void fail(const std::string& why) noexcept {
  report(why);
  std::_Exit(1);
}

void check(bool holds, const char* what, const std::source_location& where) noexcept {
  if (!holds) {
    fail(std::string{"it does not hold that "} + what + " (" + where.file_name() + ':' +
         std::to_string(where.line()) + ')');
  }
}

void say(const char* what, std::uint64_t value, const std::source_location& where) noexcept {
  if (self != nullptr) remember(what, nullptr, value, value, where);
}

std::uint64_t last_loaded(const void* object) noexcept {
  return self != nullptr && self->loaded_from == object ? self->loaded : 0;
}

time_point now() noexcept { return state.clock; }

bool in_run() noexcept { return self != nullptr; }

// ---- accesses ----------------------------------------------------------------------------------

void before_access(const void* object, const std::source_location& where) noexcept {
  if (self == nullptr) return;
  count_step();
  let_run(*self);
  if (is_forbidden(object)) {
    remember("access", object, 0, 0, where);
    fail("it uses what is gone");
  }
}

void after_access(access kind, const void* object, std::uint64_t before, std::uint64_t after,
                  const std::source_location& where) noexcept {
  if (self == nullptr) return;
  constexpr std::array names{"load",      "store",    "exchange", "compare_exchange",
                             "fetch_add", "fetch_sub"};
  remember(names[static_cast<std::size_t>(kind)], object, before, after, where);
  if (kind == access::load) {
    self->loaded_from = object;
    self->loaded = after;
  }
  if (before != after && state.asleep_for_change != 0) {
    wake(sleep_kind::change, key_of(object), SIZE_MAX);
    wake(sleep_kind::any_change, 0, SIZE_MAX);
  }
}

// ---- waiting -----------------------------------------------------------------------------------

bool sleep(sleep_kind kind, std::uint64_t key, time_point deadline,
           const std::source_location& where) noexcept {
  count_step();
  thread_record& mine = *self;
  remember("sleep", nullptr, 0, 0, where);
  mine.state = thread_state::asleep;
  mine.kind = kind;
  mine.key = key;
  mine.deadline = deadline;
  mine.deadline_step = state.how->deadline_step(state.steps);
  mine.timed_out = false;
  mine.where = where;
  const bool for_change = kind == sleep_kind::change || kind == sleep_kind::any_change;
  if (for_change) ++state.asleep_for_change;
  let_run(mine);
  if (for_change) --state.asleep_for_change;
  remember(mine.timed_out ? "timed out" : "woken", nullptr, 0, 0, where);
  return !mine.timed_out;
}

void wake(sleep_kind kind, std::uint64_t key, std::size_t count) noexcept {
  for (thread_record& each : state.threads()) {
    if (count == 0) return;
    if (each.state != thread_state::asleep || each.kind != kind || each.key != key) continue;
    each.state = thread_state::ready;
    --count;
  }
}

// ---- threads -----------------------------------------------------------------------------------

thread_record& announce_thread(const char* name) {
  if (state.thread_count == most_threads) fail("it has too many threads");
  thread_record& fresh = state.records[state.thread_count];
  fresh.number = static_cast<int>(state.thread_count++);
  fresh.name = name;
  fresh.state = thread_state::ready;
  fresh.loaded_from = nullptr;
  return fresh;
}

void begin_thread(thread_record& mine) noexcept {
  mine.turn.take();
  acquire_of_run(&state.steps);
  self = &mine;
}

void end_thread() noexcept {
  thread_record& mine = *std::exchange(self, nullptr);
  mine.state = thread_state::ended;
  wake(sleep_kind::end, key_of(&mine), SIZE_MAX);
  release_to_run(&state);
  state.current = choose();
  if (state.current == nobody) {
    state.all_ended.give();
  } else {
    record_of(state.current).turn.give();
  }
}

void await_thread(const thread_record& other) noexcept {
  while (other.state != thread_state::ended) {
    sleep(sleep_kind::end, key_of(&other), time_point::max());
  }
}

}  // namespace weft::model
