// The column of Boost.Asio 1.81: coroutines on one thread that takes no locks, with the executor's
// own type, which costs less than any_io_executor. It has no mutex.
#include <chrono>
#include <cstdint>
#include <deque>
#include <exception>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>
#include <boost/asio.hpp>
#include <boost/asio/experimental/channel.hpp>

#include "rows.hpp"

namespace weft::bench {
namespace {

namespace asio = boost::asio;

constexpr const char* peer = "asio";

using executor = asio::io_context::executor_type;
template <class T = void>
using task = asio::awaitable<T, executor>;
using timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, executor>;
using channel = asio::experimental::channel<executor, void(boost::system::error_code, int)>;

constexpr asio::use_awaitable_t<executor> await{};

// A timer that never expires is what Asio has for an event.
task<> wait_for(timer& gate) {
  boost::system::error_code cancelled;
  co_await gate.async_wait(asio::redirect_error(await, cancelled));
}

// Counts tasks that have ended, and lets one wait for all of them.
class join_counter {
public:
  explicit join_counter(const executor& where) : none_{where, timer::time_point::max()} {}

  auto token() {
    ++open_;
    return [this](const std::exception_ptr&) {
      if (--open_ == 0) none_.cancel();
    };
  }

  task<> join() {
    if (open_ != 0) co_await wait_for(none_);
  }

private:
  timer none_;
  std::size_t open_ = 0;
};

// Runs a coroutine to its end, and what it has started.
template <class Action>
void run(Action action) {
  asio::io_context context{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE};
  std::exception_ptr failure;
  asio::co_spawn(context.get_executor(), action(context.get_executor()),
                 [&](const std::exception_ptr& error) { failure = error; });
  context.run();
  if (failure) std::rethrow_exception(failure);
}

task<> yield_until(const bool& running, timer& gate, executor where) {
  co_await wait_for(gate);
  while (running) co_await asio::post(where, await);
}

task<> yield_measured(benchmark::State& state, std::size_t count, bool random, executor where) {
  bool running = true;
  std::deque<timer> gates;
  join_counter others{where};
  for (std::size_t i = 1; i < count; ++i) {
    gates.emplace_back(where, timer::time_point::max());
    asio::co_spawn(where, yield_until(running, gates.back(), where), others.token());
  }
  co_await asio::post(where, await);  // all have come to their gates
  for (const std::size_t each : waking_order(gates.size(), random)) gates[each].cancel();
  const std::size_t rounds = count < 1024 ? 1024 / count : 1;
  while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(rounds * count))) {
    for (std::size_t i = 0; i < rounds; ++i) co_await asio::post(where, await);
  }
  running = false;
  co_await others.join();
}

void yield_among(benchmark::State& state, std::size_t count, bool random) {
  run([&](executor where) { return yield_measured(state, count, random, where); });
}

task<> nothing() { co_return; }

// Awaiting what co_spawn() returns is Asio's join.
task<> spawn_measured(benchmark::State& state, executor where) {
  for (auto _ : state) co_await asio::co_spawn(where, nothing(), await);
}

task<> spawn_many_measured(benchmark::State& state, executor where) {
  join_counter tasks{where};
  while (state.KeepRunningBatch(many)) {
    for (std::size_t i = 0; i < many; ++i) asio::co_spawn(where, nothing(), tasks.token());
    co_await tasks.join();
  }
}

task<> echo(channel& there, channel& back) {
  for (;;) {
    boost::system::error_code ec;
    const int value = co_await there.async_receive(asio::redirect_error(await, ec));
    if (ec) co_return;
    co_await back.async_send(boost::system::error_code{}, value, await);
  }
}

task<> round_trip_measured(benchmark::State& state, executor where) {
  channel there{where};
  channel back{where};
  join_counter other{where};
  asio::co_spawn(where, echo(there, back), other.token());
  for (auto _ : state) {
    co_await there.async_send(boost::system::error_code{}, 1, await);
    benchmark::DoNotOptimize(co_await back.async_receive(await));
  }
  there.close();
  co_await other.join();
}

task<> read_all(channel& items) {
  boost::system::error_code ec;
  while (!ec) {
    benchmark::DoNotOptimize(co_await items.async_receive(asio::redirect_error(await, ec)));
  }
}

task<> buffered_measured(benchmark::State& state, executor where) {
  channel items{where, channel_capacity};
  join_counter reader{where};
  asio::co_spawn(where, read_all(items), reader.token());
  for (auto _ : state) co_await items.async_send(boost::system::error_code{}, 1, await);
  items.close();
  co_await reader.join();
}

task<> sleep_until(const bool& running, std::size_t number, std::uint64_t& sleeps, executor where) {
  sleep_lengths lengths{number};
  timer sleep{where};
  while (running) {
    sleep.expires_after(std::chrono::milliseconds{lengths.next_milliseconds()});
    co_await sleep.async_wait(await);
    ++sleeps;
  }
}

double cpu_per_sleep(std::size_t sleepers) {
  asio::io_context context{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE};
  std::uint64_t sleeps = 0;
  bool running = true;
  for (std::size_t i = 0; i < sleepers; ++i) {
    asio::co_spawn(context.get_executor(), sleep_until(running, i, sleeps, context.get_executor()),
                   asio::detached);
  }
  const double cost = cpu_of_a_sleep(sleeps, [&](double seconds) {
    context.run_for(std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>{seconds}));
  });
  running = false;
  context.run();
  return cost;
}

}  // namespace

void add_asio() {
  add(row::yield_2, peer, [](auto& state) { yield_among(state, 2, false); });
  add(row::yield_100, peer, [](auto& state) { yield_among(state, 100, false); });
  add(row::yield_10000, peer, [](auto& state) { yield_among(state, 10'000, false); });
  add(row::yield_10000_random, peer, [](auto& state) { yield_among(state, 10'000, true); });
  const auto add_coroutine = [](const char* row, task<> (*measured)(benchmark::State&, executor)) {
    add(row, peer,
        [measured](auto& state) { run([&](executor where) { return measured(state, where); }); });
  };
  add_coroutine(row::spawn_and_join, spawn_measured);
  add_coroutine(row::spawn_and_join_1000, spawn_many_measured);
  add_coroutine(row::unbuffered, round_trip_measured);
  add_coroutine(row::buffered, buffered_measured);
  add_in_process(row::sleep_10000, peer, [] { return cpu_per_sleep(10'000); });
  add_in_process(row::sleep_100000, peer, [] { return cpu_per_sleep(100'000); });
  add_program(row::parked, peer, "tasks-asio", parked_arguments, parked_key, "");
}

}  // namespace weft::bench
