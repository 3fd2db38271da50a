// Tasks as coroutines of Boost.Asio, on one thread that takes no locks.
#include <cstdint>
#include <exception>
#include <memory>
#include <vector>

#include <boost/asio.hpp>

#include "chain.hpp"
#include "meter.hpp"

namespace {

namespace asio = boost::asio;
using asio::use_awaitable;
using task_bench::meter;

// A timer that never expires is what Asio has for an event.
asio::awaitable<void> wait_for(asio::steady_timer& release) {
  boost::system::error_code cancelled;
  co_await release.async_wait(asio::redirect_error(use_awaitable, cancelled));
}

asio::awaitable<void> nothing() { co_return; }

// Counts tasks that have ended, and lets one wait for all of them.
class join_counter {
public:
  explicit join_counter(const asio::any_io_executor& where) : none_{where} {}

  auto token() {
    ++open_;
    return [this](const std::exception_ptr&) {
      if (--open_ == 0) none_.cancel();
    };
  }

  asio::awaitable<void> join() {
    if (open_ == 0) co_return;
    none_.expires_at(asio::steady_timer::time_point::max());
    co_await wait_for(none_);
  }

private:
  asio::steady_timer none_;
  std::uint32_t open_ = 0;
};

asio::awaitable<void> parked(meter& measured) {
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer release{executor, asio::steady_timer::time_point::max()};
  join_counter tasks{executor};
  measured.before_tasks();
  for (std::uint32_t i = 0; i < measured.count(); ++i) {
    asio::co_spawn(executor, wait_for(release), tasks.token());
  }
  co_await asio::post(executor, use_awaitable);  // all of them run, and wait
  measured.all_parked();
  release.cancel();
  co_await tasks.join();
}

asio::awaitable<void> spawn(meter& measured) {
  const auto executor = co_await asio::this_coro::executor;
  join_counter tasks{executor};
  while (measured.more(measured.count())) {
    for (std::uint32_t i = 0; i < measured.count(); ++i) {
      asio::co_spawn(executor, nothing(), tasks.token());
    }
    co_await tasks.join();
  }
}

asio::awaitable<int> await_down(int depth, const asio::any_io_executor& executor) {
  if (depth == 1) {
    co_await asio::post(executor, use_awaitable);
  } else {
    depth = 1 + co_await await_down(depth - 1, executor);
  }
  task_bench::hide(depth);
  co_return depth;
}

asio::awaitable<void> build_until(const bool& over, int depth) {
  const auto executor = co_await asio::this_coro::executor;
  while (!over) co_await await_down(depth, executor);
}

asio::awaitable<void> chain(meter& measured) {
  const auto executor = co_await asio::this_coro::executor;
  const int depth = static_cast<int>(measured.count());
  bool over = false;
  join_counter other{executor};
  asio::co_spawn(executor, build_until(over, depth), other.token());
  while (measured.more(task_bench::chain_tasks * task_bench::chains_at_once)) {
    for (unsigned i = 0; i < task_bench::chains_at_once; ++i) {
      co_await await_down(depth, executor);
    }
  }
  over = true;
  co_await other.join();
}

task_bench::actions on_asio() {
  const auto in_context = [](asio::awaitable<void> (*action)(meter&)) {
    return [action](meter& measured) {
      asio::io_context context{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE};
      std::exception_ptr failure;
      asio::co_spawn(context, action(measured),
                     [&](const std::exception_ptr& error) { failure = error; });
      context.run();
      if (failure) std::rethrow_exception(failure);
    };
  };
  return {in_context(parked), in_context(spawn), in_context(chain)};
}

}  // namespace

int main(int argc, char** argv) {
  return task_bench::run("tasks-asio", "Measures tasks that are coroutines of Boost.Asio.", argc,
                         argv, on_asio());
}
