#include "stress/world.hpp"

#include <chrono>
#include <memory>
#include <sys/socket.h>
#include <utility>

namespace weft::test::stress {

using namespace std::chrono_literals;

connection::connection() {
  std::array<int, 2> ends;
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw std::system_error(errno, std::system_category(), "socketpair");
  }
  in = net::socket::adopt(ends[0]);
  out = net::socket::adopt(ends[1]);
  in.set_send_buffer_size(4096);
}

world::world() {
  for (const std::size_t capacity : {0u, 1u, 16u}) pipes_.emplace_back(capacity);
}

void world::act(dice& random) {
  switch (random.below(12)) {
  case 0: return add(random);
  case 1: return hold_permit(random);
  case 2: return send(random);
  case 3: return receive(random);
  case 4: return make_token(random);
  case 5: return take_token(random);
  case 6: return write(random);
  case 7: return read(random);
  case 8: return await_happening(random);
  case 9: return run_children(random);
  case 10: return run_coroutine(random);
  default: return sleep(random);
  }
}

void world::nudge(dice& random) {
  pipe_of_numbers& pipe = pipes_[random.below(pipes_.size())];
  switch (random.below(5)) {
  case 0: {
    const std::uint64_t number = pipe.next++;
    if (!pipe.numbers.try_send(number)) return;
    ++pipe.sent;
    pipe.sum_sent += number;
    return;
  }
  case 1: return note_received(pipe, pipe.numbers.try_receive());
  case 2: return happening_.now.set();
  case 3: return happening_.now.reset();
  default: return tokens_.more.notify_one();  // though there may be none
  }
}

void world::add(dice& random) {
  guarded& which = guarded_[random.below(guarded_.size())];
  std::error_code ec;
  switch (random.below(4)) {
  case 0: which.lock.lock(); break;
  case 1: which.lock.lock(ec); break;
  case 2: which.lock.try_lock_for(random.short_time(), ec); break;
  default:
    if (!which.lock.try_lock()) return;
  }
  if (ec) return;
  ++which.additions;
  if (random.once_in(3)) this_fiber::yield();
  ++which.expected;
  which.lock.unlock();
}

void world::hold_permit(dice& random) {
  std::error_code ec;
  if (random.once_in(2)) {
    permits_.free.acquire(ec);
  } else {
    permits_.free.try_acquire_for(random.short_time(), ec);
  }
  if (ec) return;
  if (++permits_.in_use > permits::total) permits_.too_many = true;
  if (random.once_in(2)) this_fiber::yield();
  --permits_.in_use;
  permits_.free.release();
}

void world::send(dice& random) {
  pipe_of_numbers& pipe = pipes_[random.below(pipes_.size())];
  const std::uint64_t number = pipe.next++;
  std::error_code ec;
  switch (random.below(3)) {
  case 0: pipe.numbers.send(number, ec); break;
  case 1: pipe.numbers.send_for(number, random.short_time(), ec); break;
  default:
    if (!pipe.numbers.try_send(number)) return;
  }
  if (ec) return;
  ++pipe.sent;
  pipe.sum_sent += number;
}

void world::receive(dice& random) {
  pipe_of_numbers& pipe = pipes_[random.below(pipes_.size())];
  std::error_code ec;
  std::optional<std::uint64_t> number;
  switch (random.below(3)) {
  case 0: number = pipe.numbers.receive(ec); break;
  case 1: number = pipe.numbers.receive_for(random.short_time(), ec); break;
  default: number = pipe.numbers.try_receive();
  }
  note_received(pipe, number);
}

void world::note_received(pipe_of_numbers& pipe, std::optional<std::uint64_t> number) {
  if (!number) return;
  ++pipe.received;
  pipe.sum_received += *number;
}

void world::make_token(dice& random) {
  {
    const std::lock_guard hold{tokens_.lock};
    ++tokens_.there;
    ++tokens_.made;
  }
  if (random.once_in(4)) {
    tokens_.more.notify_all();
  } else {
    tokens_.more.notify_one();
  }
}

void world::take_token(dice& random) {
  std::unique_lock hold{tokens_.lock};
  std::error_code ec;
  const auto are_there = [this] { return tokens_.there != 0; };
  if (random.once_in(2)) {
    tokens_.more.wait(hold, are_there, ec);
  } else {
    tokens_.more.wait_for(hold, random.short_time(), are_there, ec);
  }
  if (ec) return;
  tokens_.take_all();
}

void world::write(dice& random) {
  static constexpr std::array<std::byte, 16'384> zeros{};
  connection& which = connections_[random.below(connections_.size())];
  std::error_code ec;
  which.written += which.in.write(std::span{zeros}.first(1 + random.below(zeros.size())), ec);
}

void world::read(dice& random) {
  connection& which = connections_[random.below(connections_.size())];
  std::error_code ec;
  if (random.once_in(2)) {
    which.read += which.out.read_some_borrowed(1 + random.below(4'096), ec).size();
  } else {
    const auto buffer = std::make_unique<std::array<std::byte, 4'096>>();
    which.read += which.out.read(std::span{*buffer}.first(1 + random.below(4'096)), ec);
  }
}

void world::await_happening(dice& random) {
  std::error_code ec;
  switch (random.below(4)) {
  case 0: return happening_.now.set();
  case 1: return happening_.now.reset();
  case 2: return happening_.now.wait(ec);
  default: happening_.now.wait_for(random.short_time(), ec);
  }
}

// Children that sleep; some are cancelled, some joined, some given up by a handle that goes.
void world::run_children(dice& random) {
  if (this_fiber::get_id() == fiber_id{}) return;
  std::vector<fiber<>> children;
  for (std::size_t i = random.below(4); i != 0; --i) {
    children.push_back(spawn_anywhere([length = random.short_time()] {
      std::error_code ec;
      this_fiber::sleep_for(length, ec);
    }));
  }
  for (auto& each : children) {
    if (random.once_in(3)) each.request_cancel();
    std::error_code ec;
    if (random.once_in(2)) each.join(ec);
  }
}

// On a plain thread it gets a runtime of its own, in which the scopes of the thread do not hold.
void world::run_coroutine(dice& random) {
  if (this_fiber::get_id() == fiber_id{} && !random.once_in(20)) return nudge(random);
  std::error_code ec;
  try {
    co::block_on(co::with_timeout(random.limit(), [&] { return co_act(random); }));
  } catch (const std::system_error& error) {
    ec = error.code();
  }
  if (ec && ec != errc::timed_out && ec != errc::cancelled) ++wrong_results_;
}

void world::sleep(dice& random) {
  std::error_code ec;
  this_fiber::sleep_for(random.short_time(), ec);
}

void world::check(outcome& result) {
  for (const guarded& each : guarded_) {
    result.expect_equal("additions under a mutex", each.additions, each.expected);
  }
  result.expect_equal("free permits", permits_.free.available(), permits::total);
  if (permits_.too_many) result.add_wrong("more permits were in use than there are");
  for (pipe_of_numbers& each : pipes_) {
    while (const auto number = each.numbers.try_receive()) note_received(each, number);
    result.expect_equal("numbers received", each.received, each.sent);
    result.expect_equal("numbers received, their sum,", each.sum_received, each.sum_sent);
  }
  result.expect_equal("tokens left", tokens_.there, tokens_.made - tokens_.taken);
  result.expect_equal("wrong results of coroutines", wrong_results_, 0);
  for (connection& each : connections_) {
    each.in.close();
    std::error_code ec;
    while (auto data = each.out.read_some_borrowed(4'096, ec)) each.read += data.size();
    result.expect_equal("bytes read", each.read, each.written);
  }
}

}  // namespace weft::test::stress
