// A descriptor that two workers read, that is closed meanwhile, and whose number comes again while
// the old stream lives on elsewhere: no readiness is lost, none is another's, and a number is
// closed once, while nobody uses it.
#include <cstddef>
#include <system_error>

#include <weft/co.hpp>
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
using net::detail::io_progress;
using net::detail::io_turn;

constexpr int first_stream = 1;
constexpr int second_stream = 2;
constexpr int reads = 2;  // of one that reads like a socket, of two bytes at most

descriptor open(int stream, bool shared) {
  std::error_code ec;
  descriptor result = descriptor::adopt(open_stream(stream, shared), true, ec);
  check(!ec, "there is a record for the descriptor");
  return result;
}

// As a datagram socket does, and a listener.
bool read_one(const descriptor& source, int stream, std::error_code& ec) {
  io_turn turn{source, direction::read, ec};
  if (!turn) return false;
  const auto attempt = [&] { return read_bytes(turn.fd(), stream, 1); };
  return net::detail::retry_when_ready(turn, attempt, ec) == 1;
}

// One system call of a socket: fewer bytes than it wanted are all that there were.
std::ptrdiff_t read_two(io_turn& turn) {
  constexpr std::size_t wanted = 2;
  const std::ptrdiff_t got = read_bytes(turn.fd(), first_stream, wanted);
  if (got >= 0 && static_cast<std::size_t>(got) < wanted) turn.not_ready();
  return got;
}

void check_outcome(bool has_read, const std::error_code& ec) {
  check(has_read || ec == errc::closed, "a read fails only when the descriptor is closed");
}

// As a socket does: once it is watched and has been drained, it takes its turn and waits under one
// lock.
void read_like_a_socket(const descriptor& source) {
  for (int i = 0; i < reads; ++i) {
    std::error_code ec;
    io_turn turn{source, direction::read, io_turn::and_event{}, ec};
    const auto attempt = [&] { return read_two(turn); };
    check_outcome(turn && net::detail::retry_when_ready(turn, attempt, ec) > 0, ec);
  }
}

// The same of a coroutine, as co_transfer does.
class co_reading final : public weft::detail::co_operation<co_reading> {
public:
  explicit co_reading(const descriptor& source) noexcept : turn_(source, direction::read) {}

  bool start() noexcept {
    return goes_on(turn_.begin_with_event(*this, wait_, ec_), io_progress::suspended);
  }

  bool go_on() noexcept {
    return waits_for_event_
               ? goes_on(turn_.event_has_come(*this, wait_, ec_), io_progress::suspended_for_event)
               : goes_on(turn_.turn_has_come(wait_, ec_), io_progress::suspended);
  }

  void await_resume() noexcept { check_outcome(got_ > 0, ec_); }

private:
  bool goes_on(io_progress progress, io_progress suspended) noexcept {
    if (progress == io_progress::suspended) progress = suspended;
    while (progress == io_progress::ready) {
      progress = turn_.begin_to_await_ready(*this, wait_, ec_);
      if (progress == io_progress::suspended) progress = io_progress::suspended_for_event;
      if (progress != io_progress::ready) break;
      got_ = read_two(turn_);
      if (got_ > 0) return complete();
      turn_.not_ready();
    }
    if (progress == io_progress::failed) return complete();
    waits_for_event_ = progress == io_progress::suspended_for_event;
    return false;
  }

  bool complete() noexcept {
    turn_.end();
    return true;
  }

  io_turn turn_;
  weft::detail::list_suspension wait_;
  std::error_code ec_;
  std::ptrdiff_t got_ = 0;
  bool waits_for_event_ = false;
};

co::task<> co_read_like_a_socket(const descriptor& source) {
  for (int i = 0; i < reads; ++i) co_await co_reading{source};
}

void read_reused() {
  const descriptor second = open(second_stream, false);
  std::error_code ec;
  check(read_one(second, second_stream, ec), "no readiness is lost");
  check(vain_reads(second_stream) <= 1, "no event is another descriptor's");
}

enum class kind { fiber, coroutine };

fiber<void> spawn_reader_on(unsigned worker, kind which, const descriptor& source) {
  if (which == kind::fiber) return spawn_on(worker, [&] { read_like_a_socket(source); });
  return co::spawn_on(worker, [&] { return co_read_like_a_socket(source); });
}

void close_and_reopen(kind which) {
  descriptor first = open(first_stream, true);
  fiber<void> reader = spawn_reader_on(1, which, first);
  std::error_code ec;
  check(read_one(first, first_stream, ec), "the byte that is there is read");
  first.close();
  fiber<void> next = spawn_on(1, read_reused);
  next.join();
  reader.join();
}

// Five bytes come to the first stream: one is left for main whatever the other reader takes. What
// comes after the close is an event for nobody.
void on_two_workers(execution& threads, kind reader) {
  reset_kernel();
  threads.thread("main", [&] {
    runtime two_workers{{.workers = 2}};
    two_workers.run([&] { close_and_reopen(reader); });
  });
  threads.thread("peer", [] {
    for (int i = 0; i < 5; ++i) deliver(first_stream);
    deliver(second_stream);
  });

  threads.go();

  check(open_streams() == 0, "every number has been closed");
}

// The old registration and the new one are of the same poller.
void on_one_worker(execution& threads, kind reader) {
  reset_kernel();
  threads.thread("worker", [&] {
    in_fiber([&] {
      descriptor first = open(first_stream, true);
      fiber<void> reading = spawn_reader_on(0, reader, first);
      this_fiber::yield();
      first.close();
      read_reused();
      reading.join();
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

// Nobody closes it. Mostly one worker polls it, and a reader on the other waits for each event.
void drained(execution& threads, kind reader) {
  reset_kernel();
  threads.thread("main", [&] {
    runtime two_workers{{.workers = 2}};
    two_workers.run([&] {
      const descriptor source = open(first_stream, false);
      std::error_code ec;
      check(read_one(source, first_stream, ec), "no readiness is lost");
      spawn_reader_on(1, reader, source).join();
    });
  });
  threads.thread("peer", [] {
    for (int i = 0; i < 1 + 2 * reads; ++i) deliver(first_stream);
  });

  threads.go();
}

// A plain thread closes it, while one worker polls it and a task of the other reads.
void closed_by_a_thread(execution& threads, kind reader) {
  reset_kernel();
  descriptor source;
  event opened;
  event closed;
  threads.thread("main", [&] {
    runtime two_workers{{.workers = 2}};
    two_workers.run([&] {
      source = open(first_stream, false);
      std::error_code ec;
      fiber<void> reading = spawn_reader_on(1, reader, source);
      opened.set();
      check_outcome(read_one(source, first_stream, ec), ec);
      reading.join();
      closed.wait();
    });
  });
  threads.thread("closer", [&] {
    opened.wait();
    source.close();
    closed.set();
  });
  threads.thread("peer", [] {
    for (int i = 0; i < 3; ++i) deliver(first_stream);
  });

  threads.go();

  check(open_streams() == 0, "the number has been closed");
}

}  // namespace

void descriptor_model(execution& threads) { on_two_workers(threads, kind::fiber); }

void descriptor_of_coroutine_model(execution& threads) { on_two_workers(threads, kind::coroutine); }

void reused_number_model(execution& threads) { on_one_worker(threads, kind::fiber); }

void reused_number_of_coroutine_model(execution& threads) {
  on_one_worker(threads, kind::coroutine);
}

void drained_descriptor_model(execution& threads) { drained(threads, kind::fiber); }

void drained_descriptor_of_coroutine_model(execution& threads) {
  drained(threads, kind::coroutine);
}

void descriptor_closed_by_thread_model(execution& threads) {
  closed_by_a_thread(threads, kind::fiber);
}

void descriptor_of_coroutine_closed_by_thread_model(execution& threads) {
  closed_by_a_thread(threads, kind::coroutine);
}

}  // namespace weft::model
