#include <mutex>
#include <pthread.h>
#include <utility>

#include <weft/fiber/detail/fork.hpp>

#include "last_words.hpp"
#include "process_mutex.hpp"
#include "registry.hpp"
#include "worker_group.hpp"

namespace weft::detail {
namespace {

template <class Visit>
void visit_schedulers(Visit&& visit) {
  for (scheduler* each = first_listed_scheduler(); each != nullptr;) {
    scheduler* const next = each->next_listed;
    visit(*each);
    each = next;
  }
}

fork_hook* first_hook = nullptr;  // guarded by the lock of the list of schedulers

template <class Visit>
void visit_hooks(Visit&& visit) {
  for (fork_hook* each = first_hook; each != nullptr; each = each->next) visit(*each);
}

void before_fork() {
  process_mutex::hold_all_for_fork();
  scheduler_list_lock().lock();
  visit_hooks([](fork_hook& each) { each.before(); });
  visit_schedulers([](scheduler& each) { each.hold_for_fork(); });
}

void after_fork_in_parent() {
  visit_schedulers([](scheduler& each) { each.release_after_fork(); });
  visit_hooks([](fork_hook& each) { each.in_parent(); });
  scheduler_list_lock().unlock();
  process_mutex::release_all_after_fork();
}

// Only those stay listed that have the thread they need.
void after_fork_in_child() {
  forget_others_in_sink();
  scheduler* const mine = scheduler::running();
  visit_schedulers([](scheduler& each) { each.release_after_fork(); });
  visit_schedulers([](scheduler& each) {
    if (each.siblings().runs()) each.vanish_fibers();
  });
  visit_hooks([](fork_hook& each) { each.in_child(); });
  scheduler* left = nullptr;
  visit_schedulers([&](scheduler& each) {
    const bool runs = each.siblings().runs();
    if (!runs) each.start_anew_after_fork();
    if (runs && &each != mine) return;
    each.next_listed = left;
    left = &each;
  });
  set_first_listed_scheduler(left);
  if (mine != nullptr) mine->keep_running_fiber_alone();
  scheduler_list_lock().unlock();
  process_mutex::release_all_after_fork();
}

// At the start of the program or at dlopen(3): later another thread could fork in the middle of it,
// and its child would wait for that one for ever.
[[maybe_unused]] const bool heeded_from_the_start = heed_forks();

}  // namespace

bool heed_forks() noexcept {
  // Only memory can be missing (man 3 pthread_atfork).
  static const bool heeded =
      ::pthread_atfork(&before_fork, &after_fork_in_parent, &after_fork_in_child) == 0;
  return heeded;
}

bool heed_forks(fork_hook& hook) noexcept {
  if (!heed_forks()) return false;
  const std::lock_guard hold{scheduler_list_lock()};
  if (std::exchange(hook.is_listed, true)) return true;
  hook.next = std::exchange(first_hook, &hook);
  return true;
}

}  // namespace weft::detail
