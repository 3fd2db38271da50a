// Coroutines for tests of net/: text in and out, tasks of one operation, and such as are cancelled.
//
// Threads: the worker of the test.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <weft/co.hpp>

#include "cancelled.hpp"
#include "net_fixture.hpp"

namespace weft::test {

/// Runs the coroutine that `function()` returns as a task of its own and returns what it returns.
template <class Function>
auto in_coroutine(Function&& function) {
  auto child = co::spawn(std::forward<Function>(function));
  child.join();
  return std::move(child).result();
}

/// As the functions of the same names without the prefix.
inline co::task<std::string> co_read_some_text(net::socket& from, std::size_t at_most,
                                               std::error_code& ec) {
  std::vector<std::byte> buffer(at_most);
  const std::size_t count = co_await from.co_read_some(buffer, ec);
  co_return text_of(std::span{buffer}.first(count));
}

inline co::task<std::string> co_read_some_text(net::socket& from, std::size_t at_most = 4096) {
  std::vector<std::byte> buffer(at_most);
  const std::size_t count = co_await from.co_read_some(buffer);
  co_return text_of(std::span{buffer}.first(count));
}

inline co::task<std::string> co_read_text(net::socket& from, std::size_t size,
                                          std::error_code& ec) {
  std::vector<std::byte> buffer(size);
  const std::size_t count = co_await from.co_read(buffer, ec);
  co_return text_of(std::span{buffer}.first(count));
}

inline co::task<std::string> co_read_text(net::socket& from, std::size_t size) {
  std::vector<std::byte> buffer(size);
  const std::size_t count = co_await from.co_read(buffer);
  co_return text_of(std::span{buffer}.first(count));
}

inline co::task<std::string> co_read_to_end(net::socket& from, std::error_code& ec,
                                            std::size_t step = 4096) {
  std::vector<std::byte> buffer(step);
  std::string all;
  do {
    const std::size_t count = co_await from.co_read_some(buffer, ec);
    all += text_of(std::span{buffer}.first(count));
  } while (!ec);
  co_return all;
}

/// Reads until `size` bytes have come, whatever the pieces.
inline co::task<std::string> co_read_pieces(net::socket& from, std::size_t size) {
  std::string got;
  while (got.size() < size) got += co_await co_read_some_text(from, 100);
  co_return got;
}

/// A task that reads once from `from`, which stays where it is; its result says how that ended.
inline fiber<std::error_code> co_spawn_reader(net::socket& from) {
  return co::spawn([&from]() -> co::task<std::error_code> {
    std::error_code ec;
    co_await co_read_some_text(from, 100, ec);
    co_return ec;
  });
}

/// A task that writes `data`, which stays where it is; its result says how that ended.
inline fiber<outcome> co_spawn_writer(net::socket& to, std::string_view data) {
  return co::spawn([&to, data]() -> co::task<outcome> {
    outcome result;
    result.count = co_await to.co_write(data, result.ec);
    co_return result;
  });
}

/// Awaits the task that `operation(ec)` returns in a task that is cancelled once that has
/// suspended.
template <class Operation>
outcome cancel_while_suspended(Operation&& operation) {
  auto victim = co::spawn([&]() -> co::task<outcome> {
    outcome result;
    result.count = co_await operation(result.ec);
    co_return result;
  });
  one_turn();
  EXPECT_FALSE(victim.done());
  victim.request_cancel();
  one_turn();
  EXPECT_TRUE(victim.done()) << "a cancelled wait ends within a turn";
  victim.join();
  return victim.result();
}

/// The same in a task that has been cancelled before.
template <class Operation>
outcome cancel_before_it_is_awaited(Operation&& operation) {
  auto victim = co::spawn([&]() -> co::task<outcome> {
    co_await co::yield();
    outcome result;
    result.count = co_await operation(result.ec);
    co_return result;
  });
  one_turn();
  victim.request_cancel();
  victim.join();
  return victim.result();
}

/// Returns the code of the std::system_error that awaiting what `call()` returns throws.
template <class Call>
std::error_code code_thrown_when_awaiting(Call&& call) {
  return in_coroutine([&]() -> co::task<std::error_code> {
    try {
      (void)co_await call();
    } catch (const std::system_error& error) {
      co_return error.code();
    }
    co_return std::error_code{};
  });
}

}  // namespace weft::test
