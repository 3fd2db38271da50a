// What a task may wait for, each as a call that blocks and as what a coroutine awaits: so that a
// rule about all waits is tested with each of them.
//
// Threads: tasks of a runtime; as safe as the objects are.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <ostream>
#include <span>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <utility>

#include <weft/co.hpp>
#include <weft/net.hpp>

#include "net/net_fixture.hpp"

namespace weft::test {

/// Nothing of this comes by itself. Made by a task; may go on a plain thread, after the run.
class awaited_things {
public:
  awaited_things() : full(1), read_from_(weft_unix_pair()), written_to_(weft_unix_pair()) {
    full.send(0);
    fill(written_to_.left.native_handle());
    group.spawn([this] { never.wait(); });
    holder = spawn([this] {
      const std::lock_guard hold{held};
      never.wait();
    });
    while (held.try_lock()) {
      held.unlock();
      this_fiber::yield();
    }
  }

  awaited_things(const awaited_things&) = delete;
  awaited_things& operator=(const awaited_things&) = delete;

  ~awaited_things() { never.set(); }

  net::socket& silent() { return read_from_.left; }

  net::socket& clogged() { return written_to_.left; }

  /// Closes the sockets, whoever waits.
  void close_sockets() {
    silent().close();
    clogged().close();
    connections.close();
    datagrams.close();
  }

  event never;
  semaphore none;
  mutex held;  // by `holder`
  mutex lock;
  condition_variable condition;
  channel<int> empty;
  channel<int> full;
  net::listener connections{net::endpoint::loopback_v4(0)};
  net::datagram_socket datagrams{net::endpoint::loopback_v4(0)};

  task_group group;  // of a fiber that waits
  fiber<> holder;

private:
  socket_pair read_from_;
  socket_pair written_to_;
};

/// One kind of wait, in both forms; it throws what ends it.
struct kind_of_wait {
  const char* name;
  void (*wait)(awaited_things&);
  co::task<> (*co_wait)(awaited_things&);
  bool is_of_socket = false;
};

// NOLINTNEXTLINE(readability-identifier-naming): GoogleTest calls it so
inline void PrintTo(const kind_of_wait& kind, std::ostream* out) { *out << kind.name; }

namespace waits {

using namespace std::chrono_literals;

inline void throw_if(std::error_code ec) {
  if (ec) throw std::system_error(ec);
}

inline void sleep(awaited_things& /*unused*/) { this_fiber::sleep_for(24h); }

inline co::task<> co_sleep(awaited_things& /*unused*/) { co_await co::sleep_for(24h); }

inline void event(awaited_things& all) { all.never.wait(); }

inline co::task<> co_event(awaited_things& all) { co_await all.never.co_wait(); }

inline void timed_event(awaited_things& all) { all.never.wait_for(24h); }

inline co::task<> co_timed_event(awaited_things& all) { co_await all.never.co_wait_for(24h); }

inline void semaphore(awaited_things& all) { all.none.acquire(); }

inline co::task<> co_semaphore(awaited_things& all) { co_await all.none.co_acquire(); }

inline void mutex(awaited_things& all) {
  std::error_code ec;
  all.held.lock(ec);
  if (!ec) all.held.unlock();
  throw_if(ec);
}

inline co::task<> co_mutex(awaited_things& all) {
  std::error_code ec;
  co_await all.held.co_lock(ec);
  if (!ec) all.held.unlock();
  throw_if(ec);
}

inline void condition(awaited_things& all) {
  std::unique_lock hold{all.lock};
  all.condition.wait(hold);
}

inline co::task<> co_condition(awaited_things& all) {
  auto hold = co_await all.lock.co_scoped_lock();
  co_await all.condition.co_wait(hold);
}

inline void receive(awaited_things& all) { all.empty.receive(); }

inline co::task<> co_receive(awaited_things& all) { co_await all.empty.co_receive(); }

inline void send(awaited_things& all) { all.full.send(1); }

inline co::task<> co_send(awaited_things& all) { co_await all.full.co_send(1); }

inline void join(awaited_things& all) { all.holder.join(); }

inline co::task<> co_join(awaited_things& all) { co_await all.holder.co_join(); }

inline void group(awaited_things& all) { all.group.join(); }

inline co::task<> co_group(awaited_things& all) { co_await all.group.co_join(); }

/// A fiber that runs a coroutine, and a coroutine that makes a call which blocks.
inline void block_on(awaited_things& all) { co::block_on(co_event(all)); }

inline co::task<> co_blocking_call(awaited_things& all) {
  event(all);
  co_return;
}

inline void read(awaited_things& all) { all.silent().read_some_borrowed(); }

inline co::task<> co_read(awaited_things& all) { co_await all.silent().co_read_some_borrowed(); }

inline void write(awaited_things& all) { all.clogged().write("more"); }

inline co::task<> co_write(awaited_things& all) { co_await all.clogged().co_write("more"); }

inline void accept(awaited_things& all) { all.connections.accept(); }

inline co::task<> co_accept(awaited_things& all) { co_await all.connections.co_accept(); }

inline void datagram(awaited_things& all) {
  std::array<std::byte, 16> buffer;
  all.datagrams.receive(buffer);
}

inline co::task<> co_datagram(awaited_things& all) {
  std::array<std::byte, 16> buffer;
  co_await all.datagrams.co_receive(buffer);
}

}  // namespace waits

inline constexpr std::array all_kinds_of_wait{
    kind_of_wait{"sleep", waits::sleep, waits::co_sleep},
    kind_of_wait{"event", waits::event, waits::co_event},
    kind_of_wait{"timed_event", waits::timed_event, waits::co_timed_event},
    kind_of_wait{"semaphore", waits::semaphore, waits::co_semaphore},
    kind_of_wait{"mutex", waits::mutex, waits::co_mutex},
    kind_of_wait{"condition", waits::condition, waits::co_condition},
    kind_of_wait{"receive", waits::receive, waits::co_receive},
    kind_of_wait{"send", waits::send, waits::co_send},
    kind_of_wait{"join", waits::join, waits::co_join},
    kind_of_wait{"group", waits::group, waits::co_group},
    kind_of_wait{"call_of_the_other_half", waits::block_on, waits::co_blocking_call},
    kind_of_wait{"read", waits::read, waits::co_read, true},
    kind_of_wait{"write", waits::write, waits::co_write, true},
    kind_of_wait{"accept", waits::accept, waits::co_accept, true},
    kind_of_wait{"datagram", waits::datagram, waits::co_datagram, true},
};

/// Which half of weft does the waiting.
enum class half { fibers, coroutines };

inline constexpr std::array both_halves{half::fibers, half::coroutines};

inline std::string name_of(half which) { return which == half::fibers ? "fiber" : "coroutine"; }

}  // namespace weft::test
