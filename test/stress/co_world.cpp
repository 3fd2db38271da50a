// What coroutines do with the things that tasks share.
#include <memory>
#include <utility>

#include "stress/world.hpp"

namespace weft::test::stress {

co::task<> world::co_act(dice& random) {
  try {
    switch (random.below(16)) {
    case 0: co_await co_race(random); break;
    case 1: co_await co_do_all(random); break;
    case 2: co_await co_consume(random); break;
    case 3: co_await co_run_children(random); break;
    case 4: co_await co_give_up(random); break;
    case 5: add(random); break;  // which blocks: another stack takes over
    default: co_await co_do_one(random);
    }
  } catch (...) {
    if (!is_expected(std::current_exception())) ++wrong_results_;
  }
}

co::task<> world::co_do_one(dice& random) {
  switch (random.below(9)) {
  case 0: return co_add(random);
  case 1: return co_hold_permit(random);
  case 2: return co_send(random);
  case 3: return co_receive(random);
  case 4: return co_take_token(random);
  case 5: return co_use_connection(random);
  case 6: return co_await_happening(random);
  case 7:
    return [](dice& own) -> co::task<> {
      std::error_code ec;
      co_await co::sleep_for(own.short_time(), ec);
    }(random);
  default:
    return [](world& self, dice& own) -> co::task<> {
      self.nudge(own);
      co_return;
    }(*this, random);
  }
}

co::task<> world::co_add(dice& random) {
  guarded& which = guarded_[random.below(guarded_.size())];
  std::error_code ec;
  if (random.once_in(3)) {
    const auto hold = co_await which.lock.co_scoped_lock();
    ++which.additions;
    ++which.expected;
    co_return;
  }
  if (random.once_in(2)) {
    co_await which.lock.co_lock(ec);
  } else {
    co_await which.lock.co_try_lock_for(random.short_time(), ec);
  }
  if (ec) co_return;
  ++which.additions;
  if (random.once_in(3)) co_await co::yield();
  ++which.expected;
  which.lock.unlock();
}

co::task<> world::co_hold_permit(dice& random) {
  std::error_code ec;
  if (random.once_in(2)) {
    co_await permits_.free.co_acquire(ec);
  } else {
    co_await permits_.free.co_try_acquire_for(random.short_time(), ec);
  }
  if (ec) co_return;
  if (++permits_.in_use > permits::total) permits_.too_many = true;
  if (random.once_in(2)) co_await co::yield();
  --permits_.in_use;
  permits_.free.release();
}

co::task<> world::co_send(dice& random) {
  pipe_of_numbers& pipe = pipes_[random.below(pipes_.size())];
  const std::uint64_t number = pipe.next++;
  std::error_code ec;
  if (random.once_in(2)) {
    co_await pipe.numbers.co_send(number, ec);
  } else {
    co_await pipe.numbers.co_send_for(number, random.short_time(), ec);
  }
  if (ec) co_return;
  ++pipe.sent;
  pipe.sum_sent += number;
}

co::task<> world::co_receive(dice& random) {
  pipe_of_numbers& pipe = pipes_[random.below(pipes_.size())];
  std::error_code ec;
  if (random.once_in(2)) {
    note_received(pipe, co_await pipe.numbers.co_receive(ec));
  } else {
    note_received(pipe, co_await pipe.numbers.co_receive_for(random.short_time(), ec));
  }
}

co::task<> world::co_take_token(dice& random) {
  auto hold = co_await tokens_.lock.co_scoped_lock();
  std::error_code ec;
  const auto are_there = [this] { return tokens_.there != 0; };
  if (random.once_in(2)) {
    co_await tokens_.more.co_wait(hold, are_there, ec);
  } else {
    co_await tokens_.more.co_wait_for(hold, random.short_time(), are_there, ec);
  }
  if (ec) co_return;
  tokens_.take_all();
}

co::task<> world::co_use_connection(dice& random) {
  static constexpr std::array<std::byte, 4'096> zeros{};
  connection& which = connections_[random.below(connections_.size())];
  std::error_code ec;
  if (random.once_in(2)) {
    const auto buffer = std::make_unique<std::array<std::byte, 4'096>>();
    which.read += co_await which.out.co_read_some(*buffer, ec);
  } else {
    const auto data = std::span{zeros}.first(1 + random.below(zeros.size()));
    which.written += co_await which.in.co_write(data, ec);
  }
}

co::task<> world::co_await_happening(dice& random) {
  std::error_code ec;
  if (random.once_in(2)) {
    co_await happening_.now.co_wait(ec);
  } else {
    co_await happening_.now.co_wait_for(random.short_time(), ec);
  }
}

// ---- several at once ---------------------------------------------------------------------------

co::task<std::uint64_t> world::co_compete(std::uint64_t seed) {
  dice own{seed};
  for (std::size_t i = own.below(3); i != 0; --i) co_await co_do_one(own);
  if (own.once_in(6)) throw planned_failure{};
  co_return seed;
}

co::task<> world::co_race(dice& random) {
  const std::array seeds{random.seed(), random.seed()};
  const auto first = co_await co::when_any(co_compete(seeds[0]), co_compete(seeds[1]));
  const std::uint64_t value =
      first.index == 0 ? std::get<0>(first.value) : std::get<1>(first.value);
  if (value != seeds[first.index]) ++wrong_results_;
}

co::task<> world::co_do_all(dice& random) {
  std::vector<std::uint64_t> seeds(random.below(4));
  std::vector<co::task<std::uint64_t>> tasks;
  for (auto& each : seeds) {
    each = random.seed();
    tasks.push_back(co_compete(each));
  }
  if (co_await co::when_all(std::move(tasks)) != seeds) ++wrong_results_;
}

co::async_generator<std::uint64_t> world::co_generate(dice& random) {
  for (std::uint64_t i = 0; i < 5; ++i) {
    if (random.once_in(2)) co_await co_do_one(random);
    if (random.once_in(16)) throw planned_failure{};
    co_yield i;
  }
}

// Some are left before their end.
co::task<> world::co_consume(dice& random) {
  auto values = co_generate(random);
  for (std::uint64_t i = 0, end = random.below(7); i < end; ++i) {
    const auto value = co_await values.next();
    if (value.has_value() != (i < 5) || value.value_or(i) != i) ++wrong_results_;
  }
}

co::task<> world::co_run_children(dice& random) {
  std::atomic<std::int64_t> alive = 0;
  co_await co::with_task_group([&](task_group& group) -> co::task<> {
    for (std::size_t i = random.below(4); i != 0; --i) {
      group.spawn_anywhere([this, here = counted{alive}, seed = random.seed()]() -> co::task<> {
        dice own{seed};
        co_await co_do_one(own);
      });
      group.spawn(
          [here = counted{alive}, length = random.short_time()] { this_fiber::sleep_for(length); });
    }
    if (random.once_in(4)) group.request_cancel();
    co_await co_do_one(random);
  });
  if (alive != 0) ++wrong_results_;
  auto child = co::spawn_anywhere([this, seed = random.seed()] { return co_compete(seed); });
  if (random.once_in(3)) child.request_cancel();
  co_await child.co_join();
}

co::task<> world::co_give_up(dice& random) {
  const bool ended = co_await co::move_on_after(random.limit(), [&]() -> co::task<> {
    event never;
    co_await never.co_wait();
  });
  if (ended) ++wrong_results_;
}

}  // namespace weft::test::stress
