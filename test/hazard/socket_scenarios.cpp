// Connections: fibers, coroutines and plain threads.
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <new>
#include <optional>
#include <span>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

#include <weft/co.hpp>
#include <weft/net.hpp>

#include "echoes.hpp"
#include "scenarios.hpp"

namespace weft::test {
namespace {

using co::task;
using net::endpoint;

// ---- echo ---------------------------------------------------------------------------------------

// Accepts two, each for a fiber of `connections`. Who is still to come is told of its end.
void accept_two(net::listener& listening, task_group& connections, unsigned workers) {
  try {
    for (unsigned i = 0; i < 2; ++i) {
      connections.spawn_on(i % workers,
                           [accepted = listening.accept()]() mutable { echo(accepted); });
    }
  } catch (...) {
    listening.close();
    throw;
  }
  listening.close();
}

void echo_over(bool is_unix, outcome& result, const runtime_options& options) {
  const place here{is_unix};
  run_noting(result, options, [&] {
    net::listener listening{here.wanted("echo")};
    const endpoint address = listening.local_endpoint();
    int right = 0;
    in_group(result, [&](task_group& group) {
      group.spawn([&] { accept_two(listening, group, options.workers); });
      group.spawn([&] {
        for (int i = 0; i < 2; ++i) {
          net::socket client = net::socket::connect(address);
          if (comes_back(client)) ++right;
        }
      });
      group.join();
    });
    result.expect(right == 2 || result.has_failed(), "what comes back is what was sent");
  });
  // One that cannot be looked at may be another's, and close() has nobody to tell: it stays, and
  // the next listener replaces it.
  const bool may_stay = has_struck(call::lstat) && !result.has_failed();
  result.expect(here.is_empty() || may_stay, "the socket file is removed");
}

void tcp_echo(outcome& result, const runtime_options& options) {
  echo_over(false, result, options);
}

void unix_echo(outcome& result, const runtime_options& options) {
  echo_over(true, result, options);
}

task<> co_ask(endpoint address, std::atomic<int>& right) {
  net::socket connection = co_await net::socket::co_connect(address);
  if (co_await co_comes_back(connection)) ++right;
}

task<> co_accept_two(net::listener& listening, task_group& connections) {
  for (int i = 0; i < 2; ++i) {
    net::socket accepted = co_await listening.co_accept();
    connections.spawn([connection = std::move(accepted)]() mutable { return co_echo(connection); });
  }
}

void echo_of_coroutines(outcome& result, const runtime_options& options) {
  run_noting(result, options, [&] {
    net::listener listening{endpoint::loopback_v4(0)};
    const endpoint address = listening.local_endpoint();
    std::atomic<int> right = 0;
    in_group(result, [&](task_group& group) {
      group.spawn([&] { return co_accept_two(listening, group); });
      group.spawn([&] { return co_ask(address, right); });
      group.spawn_on(options.workers - 1, [&] { return co_ask(address, right); });
      group.join();
    });
    result.expect(right == 2 || result.has_failed(), "what comes back is what was sent");
  });
}

// ---- servers ------------------------------------------------------------------------------------

// Asks until a connection is served: one that came when something failed may be lost.
void ask_until_served(const endpoint& address, outcome& result) {
  for (;;) {
    try {
      net::socket client = net::socket::connect(address);
      result.expect(comes_back(client), "what comes back is what was sent");
      return;
    } catch (const std::system_error& error) {
      if (error.code() == errc::cancelled) throw;
      result.note_current_exception();
    } catch (const std::bad_alloc&) {
      result.note_current_exception();
    }
  }
}

// A server that cannot begin ends its clients; once it has begun it serves on, whatever fails.
template <class Serve>
void serve_with(outcome& result, const runtime_options& options, Serve serve) {
  run_noting(result, options, [&] {
    net::listener listening{endpoint::loopback_v4(0)};
    const endpoint address = listening.local_endpoint();
    in_group(result, [&](task_group& group) {
      group.spawn([&] { return serve(listening); });
      group.spawn([&] {
        for (int i = 0; i < 2; ++i) ask_until_served(address, result);
        listening.close();
      });
      group.join();
    });
  });
}

void server(outcome& result, const runtime_options& options) {
  serve_with(result, options, [](net::listener& listening) { net::serve(listening, echo); });
}

void server_of_coroutines(outcome& result, const runtime_options& options) {
  serve_with(result, options,
             [](net::listener& listening) { return net::co_serve(listening, co_echo); });
}

void server_told_peers(outcome& result, const runtime_options& options) {
  serve_with(result, options, [](net::listener& listening) {
    net::serve(listening,
               [](net::socket& connection, const endpoint& /*peer*/) { echo(connection); });
  });
}

// ---- plain threads ------------------------------------------------------------------------------

// A plain thread that asks fibers. Its end is waited for.
class asking_thread {
public:
  asking_thread(outcome& result, endpoint address)
      : thread_([this, &result, address] {
          result.attempt([&] { ask(address); });
          finished_.set();
        }) {}

  asking_thread(const asking_thread&) = delete;
  asking_thread& operator=(const asking_thread&) = delete;

  ~asking_thread() { thread_.join(); }

  /// Whether the answer was right.
  bool wait() {
    finished_.wait();
    return same_;
  }

private:
  void ask(const endpoint& address) {
    net::socket connection = net::socket::connect(address);
    connection.write(small_message());
    std::array<std::byte, small_size> buffer;
    connection.read(buffer);
    same_ = is_message(buffer);
  }

  bool same_ = false;
  event finished_;
  std::thread thread_;
};

void serve_one(net::listener& listening, outcome& result) {
  try {
    net::socket connection = listening.accept();
    echo(connection);
  } catch (const std::system_error& error) {
    // Not needed any more, once the asker has its answer.
    if (error.code() != errc::cancelled) result.note_current_exception();
  } catch (...) {
    result.note_current_exception();
  }
  listening.close();  // who is still to come is told
}

void threads(outcome& result, const runtime_options& options) {
  run_noting(result, options, [&] {
    std::optional<asking_thread> asking;
    net::listener listening{endpoint::loopback_v4(0)};
    const endpoint address = listening.local_endpoint();
    {
      const undisturbed while_starting;
      asking.emplace(result, address);
    }
    const fiber<> serving = spawn([&] { serve_one(listening, result); });
    const bool same = asking->wait();
    result.expect(same || result.has_failed(), "what comes back is what was sent");
  });
}

// ---- descriptors of others ----------------------------------------------------------------------

// Takes over `fd` and gives it back while a fiber waits on it.
void lend(int fd, outcome& result) {
  net::socket taken;
  const bool adopted = result.attempt([&] { taken = net::socket::adopt(fd); });
  if (!adopted) return;
  result.attempt([&] {
    taken.set_send_buffer_size(100'000);
    const fiber<> waiting = spawn([&] {
      std::array<std::byte, 1> buffer;
      std::error_code ec;
      taken.read_some(buffer, ec);
      if (ec != errc::closed) result.note(ec);
    });
    this_fiber::yield();
    result.expect(taken.release() == fd, "what was taken is given back");
  });
  if (taken.is_open()) result.expect(taken.release() == fd, "it is given back later");
}

void adopting(outcome& result, const runtime_options& options) {
  run_noting(result, options, [&] {
    std::array<int, 2> ends{-1, -1};
    result.expect(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0, "there is a pair");
    for (const int each : ends) lend(each, result);
    for (const int each : ends) {
      result.expect(::close(each) == 0 || errno == EINTR, "who gave it back has not closed it");
    }
  });
}

constexpr std::array all{
    scenario{"tcp_echo", tcp_echo},
    scenario{"unix_echo", unix_echo},
    scenario{"echo_of_coroutines", echo_of_coroutines},
    scenario{"server", server},
    scenario{"server_told_peers", server_told_peers},
    scenario{"server_of_coroutines", server_of_coroutines},
    scenario{"threads", threads},
    scenario{"adopting", adopting},
};

}  // namespace

std::span<const scenario> socket_scenarios() { return all; }

}  // namespace weft::test
