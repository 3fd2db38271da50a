// A wait for the first of several things: one waiter, published in several lists. Used by the
// libraries above fiber/; not for users.
//
// Who uses it keeps the entries, wherever they have room, and looks at the things again after the
// wait: the reason says that one of them woke it, not which. It allocates nothing.
//
//     composite_wait several;
//     for (thing& each : things) {
//       each.lock.lock();
//       if (each.ready) { each.lock.unlock(); several.abandon(); break; }
//       several.publish(entry, each.list, each.lock);   // gives the lock up
//     }
//     several.wait(deadline, cancellation::honoured);
//
// Threads: the task that made it.
#pragma once

#include <mutex>

#include <weft/fiber/detail/wait.hpp>
#include <weft/fiber/detail/waiter.hpp>

namespace weft::detail {

class composite_wait {
public:
  // One of the places where the wait is published, and how its lock is taken.
  struct entry {
    wait_node node;
    wait_list* list = nullptr;
    void* lock = nullptr;
    void (*withdraw)(entry&) noexcept = nullptr;
    entry* next = nullptr;
  };

  // Begins a wait of the running task, which must begin no other before this one has ended.
  composite_wait() noexcept;
  composite_wait(const composite_wait&) = delete;
  composite_wait& operator=(const composite_wait&) = delete;
  ~composite_wait();

  // Publishes the wait in `list`, whose lock the caller holds, and gives that up.
  template <class Lock>
  void publish(entry& place, wait_list& list, Lock& held) noexcept {
    place.list = &list;
    place.lock = &held;
    place.withdraw = &withdraw_under<Lock>;
    add(place);
    held.unlock();
  }

  // Waits until it is woken in one of the places, cancelled or `deadline` has passed, and takes it
  // out of all. At once after abandon().
  wake_reason wait(deadline_clock::time_point deadline, cancellation mode);

  // Ends it from inside, for one of the things is ready already. Returns false if it had been ended
  // from outside before: that wake-up was meant for this task and is used up.
  bool abandon() noexcept;

private:
  // Nobody looks at the entry afterwards.
  template <class Lock>
  static void withdraw_under(entry& place) noexcept {
    const std::lock_guard hold{*static_cast<Lock*>(place.lock)};
    if (place.node.linked()) place.list->remove(place.node);
  }

  void add(entry& place) noexcept;
  void withdraw() noexcept;

  waiter& mine_;
  entry* published_ = nullptr;
  bool ended_ = false;
};

}  // namespace weft::detail
