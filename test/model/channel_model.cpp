// A channel between threads and fibers, with deadlines and close: what was sent is received once,
// what was not sent never, and nobody is left waiting.
#include <array>
#include <atomic>
#include <cstddef>
#include <system_error>

#include <weft/fiber.hpp>

#include "models.hpp"
#include "tasks.hpp"

namespace weft::model {
namespace {

constexpr std::size_t values = 4;

struct traffic {
  explicit traffic(std::size_t capacity) : pipe(capacity) {}

  channel<std::size_t> pipe;
  std::atomic<int> senders{2};
  std::array<std::atomic<int>, values> sent{};
  std::array<std::atomic<int>, values> received{};
};

// The last sender closes it.
void leave(traffic& shared) {
  if (--shared.senders == 0) shared.pipe.close();
}

void send(traffic& shared, std::size_t value, time_point deadline) {
  std::error_code ec;
  if (shared.pipe.send_until(value, deadline, ec)) ++shared.sent[value];
  check(!ec || ec == errc::timed_out, "a send ends for a reason that there was");
}

void receive_until_closed(traffic& shared) {
  std::error_code ec;
  while (const auto value = shared.pipe.receive(ec)) ++shared.received[*value];
  check(!ec, "a receiver ends with the channel");
}

void receive_once(traffic& shared) {
  std::error_code ec;
  if (const auto value = shared.pipe.receive_until(soon(), ec)) ++shared.received[*value];
  check(!ec || ec == errc::timed_out, "a receive ends for a reason that there was");
}

void run_traffic(execution& threads, std::size_t capacity) {
  traffic shared{capacity};
  threads.thread("sender", [&] {
    send(shared, 0, detail::no_deadline);
    send(shared, 1, soon());
    leave(shared);
  });
  threads.thread("fiber", [&] {
    in_fiber([&] {
      send(shared, 2, soon());
      send(shared, 3, detail::no_deadline);
    });
    leave(shared);
  });
  threads.thread("receiver", [&] { receive_until_closed(shared); });
  threads.thread("timed", [&] { receive_once(shared); });

  threads.go();

  for (std::size_t i = 0; i < values; ++i) {
    check(shared.sent[i] == shared.received[i], "a value is received as often as it was sent");
  }
  check(shared.sent[0] == 1 && shared.sent[3] == 1, "without a deadline a value is sent");
}

}  // namespace

void unbuffered_channel_model(execution& threads) { run_traffic(threads, 0); }

void buffered_channel_model(execution& threads) { run_traffic(threads, 1); }

}  // namespace weft::model
