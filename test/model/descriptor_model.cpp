// A descriptor that two workers read, that is closed meanwhile, and whose number comes again while
// the old stream lives on elsewhere: no readiness is lost, none is another's, and a number is
// closed once, while nobody uses it.
#include <system_error>

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

constexpr int first_stream = 1;
constexpr int second_stream = 2;

descriptor open(int stream, bool shared) {
  std::error_code ec;
  descriptor result = descriptor::adopt(open_stream(stream, shared), true, ec);
  check(!ec, "there is a record for the descriptor");
  return result;
}

bool read_one(io_turn& turn, int stream, std::error_code& ec) {
  if (!turn) return false;
  const auto attempt = [&] { return read_byte(turn.fd(), stream); };
  return net::detail::retry_when_ready(turn, attempt, ec) == 1;
}

// As a datagram socket does, and a listener.
bool read_one(const descriptor& source, int stream, std::error_code& ec) {
  io_turn turn{source, direction::read, ec};
  return read_one(turn, stream, ec);
}

// As a socket does: once it is watched, it takes its turn and waits under one lock.
void read_two_or_less(const descriptor& source) {
  for (int i = 0; i < 2; ++i) {
    std::error_code ec;
    io_turn turn{source, direction::read, io_turn::and_event{}, ec};
    if (read_one(turn, first_stream, ec)) continue;
    check(ec == errc::closed, "a read fails only when the descriptor is closed");
  }
}

void read_reused() {
  const descriptor second = open(second_stream, false);
  std::error_code ec;
  check(read_one(second, second_stream, ec), "no readiness is lost");
  check(vain_reads(second_stream) <= 1, "no event is another descriptor's");
}

void close_and_reopen() {
  descriptor first = open(first_stream, true);
  fiber<void> reader = spawn_on(1, [&] { read_two_or_less(first); });
  std::error_code ec;
  check(read_one(first, first_stream, ec), "the byte that is there is read");
  first.close();
  fiber<void> next = spawn_on(1, read_reused);
  next.join();
  reader.join();
}

}  // namespace

// Three bytes come to the first stream: one is left for main whatever the other reader takes. What
// comes after the close is an event for nobody.
void descriptor_model(execution& threads) {
  reset_kernel();
  threads.thread("main", [&] {
    runtime two_workers{{.workers = 2}};
    two_workers.run([] { close_and_reopen(); });
  });
  threads.thread("peer", [] {
    for (int i = 0; i < 3; ++i) deliver(first_stream);
    deliver(second_stream);
  });

  threads.go();

  check(open_streams() == 0, "every number has been closed");
}

// On one worker, so that the old registration and the new one are of the same poller.
void reused_number_model(execution& threads) {
  reset_kernel();
  threads.thread("worker", [&] {
    in_fiber([] {
      descriptor first = open(first_stream, true);
      fiber<void> reader = spawn([&] { read_two_or_less(first); });
      this_fiber::yield();
      first.close();
      read_reused();
      reader.join();
    });
  });
  threads.thread("peer", [] {
    deliver(first_stream);
    deliver(first_stream);
    deliver(second_stream);
  });

  threads.go();

  check(open_streams() == 0, "every number has been closed");
}

}  // namespace weft::model
