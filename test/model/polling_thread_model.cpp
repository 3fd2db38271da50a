// A plain thread that waits for a descriptor in poll(2), with its eventfd beside it: bytes come,
// its scope is cancelled, the descriptor is closed. No wake-up is lost, and none comes to a later
// wait, in poll(2) or on the futex of the thread.
#include <system_error>
#include <thread>

#include <weft/fiber.hpp>
#include <weft/net/detail/descriptor.hpp>

#include "descriptor_io.hpp"
#include "kernel.hpp"
#include "models.hpp"
#include "tasks.hpp"

namespace weft::model {
namespace {

using net::detail::descriptor;
using net::detail::direction;
using net::detail::io_turn;

constexpr int stream = 1;

struct shared_stream {
  descriptor source;
  event opened;
  event done;  // nobody else will touch what follows
  cancel_scope* scope = nullptr;
};

void open(shared_stream& shared) {
  std::error_code ec;
  shared.source = descriptor::adopt(open_stream(stream, false), true, ec);
  check(!ec, "there is a record for the descriptor");
}

bool read_one(const descriptor& source, std::error_code& ec) {
  io_turn turn{source, direction::read, ec};
  if (!turn) return false;
  const auto attempt = [&] { return read_bytes(turn.fd(), stream, 1); };
  return net::detail::retry_when_ready(turn, attempt, ec) == 1;
}

// Two bytes come: one of them is there for the second read, whatever has ended the first.
void read_until_cancelled(shared_stream& shared) {
  open(shared);
  cancel_scope mine;
  shared.scope = &mine;
  shared.opened.set();
  std::error_code ec;
  check(read_one(shared.source, ec) || ec == errc::cancelled,
        "a read fails only when it is cancelled");
  const shield apart;
  shared.done.wait();
  check(shared.done.is_set(), "a wake-up does not come to a later wait");
  check(read_one(shared.source, ec), "no readiness is lost");
  shared.source.close();
}

void read_until_closed(shared_stream& shared) {
  open(shared);
  shared.opened.set();
  for (std::error_code ec; !ec;) {
    check(read_one(shared.source, ec) || ec == errc::closed,
          "a read fails only when the descriptor is closed");
  }
  shared.done.wait();
  check(shared.done.is_set(), "a wake-up does not come to a later wait");
}

// On a thread of its own, with whose end its eventfd goes.
void on_a_thread(void (*body)(shared_stream&), shared_stream& shared) {
  std::thread{[&] { body(shared); }}.join();
}

void deliver_two() {
  deliver(stream);
  deliver(stream);
}

}  // namespace

void polling_thread_model(execution& threads) {
  reset_kernel();
  shared_stream shared;
  threads.thread("reader", [&] { on_a_thread(read_until_cancelled, shared); });
  threads.thread("peer", deliver_two);
  threads.thread("canceller", [&] {
    shared.opened.wait();
    shared.scope->request_cancel();
    shared.done.set();
  });

  threads.go();

  check(open_streams() == 0, "the number has been closed");
}

void polling_thread_and_close_model(execution& threads) {
  reset_kernel();
  shared_stream shared;
  threads.thread("reader", [&] { on_a_thread(read_until_closed, shared); });
  threads.thread("peer", [] { deliver(stream); });
  threads.thread("closer", [&] {
    shared.opened.wait();
    shared.source.close();
    shared.done.set();
  });

  threads.go();

  check(open_streams() == 0, "the number has been closed");
}

}  // namespace weft::model
