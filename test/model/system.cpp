// What stands in for the system in a run: futexes, the clock, yielding, and threads that the core
// starts. Instead of fiber/src/futex.cpp and spin_lock.cpp; the rest is put in by the linker's
// --wrap.
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <weft/fiber/detail/planted.hpp>
#include <weft/fiber/detail/spin_lock.hpp>

#include "execution.hpp"
#include "futex.hpp"
#include "schedule_point.hpp"

namespace weft::detail {

bug planted_bug = bug::none;

bool futex_wait(const std::uint32_t* word, std::uint32_t expected,
                std::chrono::steady_clock::time_point deadline) noexcept {
  model::before_access();
  if (__atomic_load_n(word, __ATOMIC_RELAXED) != expected) return true;
  return model::sleep(model::sleep_kind::futex, model::key_of(word), deadline);
}

void futex_wake_one(const std::uint32_t* word) noexcept {
  model::before_access();
  model::wake(model::sleep_kind::futex, model::key_of(word), 1);
}

// Spinning would only cost steps: the lock is tried again after it was given up.
void spin_lock::lock_contended() noexcept {
  do {
    model::sleep(model::sleep_kind::change, model::key_of(&held_), model::time_point::max());
  } while (held_.exchange(true, std::memory_order_acquire));
}

}  // namespace weft::detail

namespace {

using weft::model::thread_record;

// A thread that the core has started, in the run.
class state_in_run final : public std::thread::_State {
public:
  state_in_run(thread_record& record, std::thread::_State_ptr inner) noexcept
      : record_(record), inner_(std::move(inner)) {}

  void _M_run() override {
    weft::model::begin_thread(record_);
    inner_->_M_run();
    weft::model::end_thread();
  }

private:
  thread_record& record_;
  std::thread::_State_ptr inner_;
};

std::map<std::thread::id, thread_record*>& started() {
  static std::map<std::thread::id, thread_record*> threads;
  return threads;
}

}  // namespace

// NOLINTBEGIN: the names are the linker's and the compiler's
extern "C" {

int __real_sched_yield();

int __wrap_sched_yield() {
  if (!weft::model::in_run()) return __real_sched_yield();
  weft::model::sleep(weft::model::sleep_kind::any_change, 0, weft::model::time_point::max());
  return 0;
}

// std::chrono::steady_clock::now()
std::int64_t __wrap__ZNSt6chrono3_V212steady_clock3nowEv() noexcept {
  return weft::model::now().time_since_epoch().count();
}

// std::thread::_M_start_thread()
void __real__ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE(
    std::thread* self, std::thread::_State_ptr state, void (*depend)());

void __wrap__ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE(
    std::thread* self, std::thread::_State_ptr state, void (*depend)()) {
  if (!weft::model::in_run()) {
    return __real__ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE(
        self, std::move(state), depend);
  }
  thread_record& record = weft::model::announce_thread("worker");
  __real__ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE(
      self, std::make_unique<state_in_run>(record, std::move(state)), depend);
  started()[self->get_id()] = &record;
}

// std::thread::join()
void __real__ZNSt6thread4joinEv(std::thread* self);

void __wrap__ZNSt6thread4joinEv(std::thread* self) {
  const auto found = started().find(self->get_id());
  if (found != started().end()) {
    weft::model::await_thread(*found->second);
    started().erase(found);
  }
  __real__ZNSt6thread4joinEv(self);
}

}  // extern "C"
// NOLINTEND
