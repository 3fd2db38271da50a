// Lines over streams, and datagrams: fibers and coroutines.
#include <array>
#include <cstddef>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include <weft/co.hpp>
#include <weft/net.hpp>

#include "echoes.hpp"
#include "scenarios.hpp"

namespace weft::test {
namespace {

using co::task;
using net::endpoint;

// ---- streams ------------------------------------------------------------------------------------

constexpr int line_count = 8;
constexpr std::string_view line_text = "a line that is longer than a small string\n";

void answer_lines(net::socket connection) {
  net::stream peer{std::move(connection)};
  for (auto& line : peer.lines()) peer.write(line);
  peer.flush();
  peer.shutdown();
}

int ask_lines(net::socket connection) {
  net::stream peer{std::move(connection)};
  peer.write(line_text.substr(0, 10));
  int same = 0;
  for (int i = 0; i < line_count; ++i) {
    peer.write(line_text.substr(10));
    peer.write(line_text.substr(0, 10));
    const auto line = peer.read_line();
    if (!line) throw std::system_error(errc::eof, "read_line");
    if (*line == line_text) ++same;
  }
  peer.flush();
  peer.shutdown();
  while (peer.read_line()) {
  }
  return same;
}

void streams(outcome& result, const runtime_options& options) {
  const place here{true};
  run_noting(result, options, [&] {
    net::listener listening{here.wanted("lines")};
    const endpoint address = listening.local_endpoint();
    int same = 0;
    in_group(result, [&](task_group& group) {
      group.spawn_on(options.workers - 1, [&] { answer_lines(listening.accept()); });
      group.spawn([&] { same = ask_lines(net::socket::connect(address)); });
      group.join();
    });
    result.expect(same == line_count || result.has_failed(), "every line comes back");
  });
}

task<> co_answer_lines(net::listener& listening) {
  net::stream peer{co_await listening.co_accept()};
  peer.socket().set_no_delay(true);
  while (const auto line = co_await peer.co_read_line()) co_await peer.co_write(*line);
  co_await peer.co_shutdown();
}

task<> co_ask_lines(endpoint address, int& same) {
  net::stream peer{co_await net::socket::co_connect(address)};
  peer.socket().set_no_delay(true);
  for (int i = 0; i < line_count; ++i) {
    co_await peer.co_write(line_text.substr(0, 10));
    co_await peer.co_write(line_text.substr(10));
    const auto line = co_await peer.co_read_line();
    if (!line) throw std::system_error(errc::eof, "read_line");
    if (*line == line_text) ++same;
  }
  co_await peer.co_shutdown();
}

void streams_of_coroutines(outcome& result, const runtime_options& options) {
  run_noting(result, options, [&] {
    net::listener listening{endpoint::loopback_v4(0)};
    const endpoint address = listening.local_endpoint();
    int same = 0;
    in_group(result, [&](task_group& group) {
      group.spawn_on(options.workers - 1, [&] { return co_answer_lines(listening); });
      group.spawn([&] { return co_ask_lines(address, same); });
      group.join();
    });
    result.expect(same == line_count || result.has_failed(), "every line comes back");
  });
}

// ---- datagrams ----------------------------------------------------------------------------------

constexpr int datagram_count = 10;

void answer_datagrams(net::datagram_socket& here) {
  std::array<std::byte, 1'000> buffer;
  for (int i = 0; i < datagram_count; ++i) {
    endpoint sender;
    const std::size_t size = here.receive_from(buffer, sender);
    here.send_to(std::span{buffer}.first(size), sender);
  }
}

void datagrams_over(bool is_unix, outcome& result, const runtime_options& options) {
  const place where{is_unix};
  run_noting(result, options, [&] {
    net::datagram_socket server{where.wanted("server")};
    net::datagram_socket client{where.wanted("client")};
    const endpoint address = server.local_endpoint();
    int same = 0;
    in_group(result, [&](task_group& group) {
      group.spawn_on(options.workers - 1, [&] { answer_datagrams(server); });
      group.spawn([&] {
        std::array<std::byte, 1'000> buffer;
        for (int i = 0; i < datagram_count; ++i) {
          client.send_to(small_message(), address);
          const std::size_t size = client.receive(buffer);
          if (size == small_size && is_message(std::span{buffer}.first(size))) ++same;
        }
      });
      group.join();
    });
    result.expect(same == datagram_count || result.has_failed(), "every datagram comes back");
  });
}

void udp(outcome& result, const runtime_options& options) {
  datagrams_over(false, result, options);
}

void unix_datagrams(outcome& result, const runtime_options& options) {
  datagrams_over(true, result, options);
}

task<> co_answer_datagrams(net::datagram_socket& here) {
  std::array<std::byte, 1'000> buffer;
  for (int i = 0; i < datagram_count; ++i) {
    endpoint sender;
    const std::size_t size = co_await here.co_receive_from(buffer, sender);
    co_await here.co_send_to(std::span{buffer}.first(size), sender);
  }
}

task<> co_ask_datagrams(net::datagram_socket& here, endpoint address, int& same) {
  std::array<std::byte, 1'000> buffer;
  for (int i = 0; i < datagram_count; ++i) {
    co_await here.co_send_to(small_message(), address);
    const std::size_t size = co_await here.co_receive(buffer);
    if (size == small_size && is_message(std::span{buffer}.first(size))) ++same;
  }
}

void datagrams_of_coroutines(outcome& result, const runtime_options& options) {
  run_noting(result, options, [&] {
    net::datagram_socket server{endpoint::loopback_v4(0)};
    net::datagram_socket client{endpoint::loopback_v4(0)};
    const endpoint address = server.local_endpoint();
    int same = 0;
    in_group(result, [&](task_group& group) {
      group.spawn_on(options.workers - 1, [&] { return co_answer_datagrams(server); });
      group.spawn([&] { return co_ask_datagrams(client, address, same); });
      group.join();
    });
    result.expect(same == datagram_count || result.has_failed(), "every datagram comes back");
  });
}

constexpr std::array all{
    scenario{"streams", streams},
    scenario{"streams_of_coroutines", streams_of_coroutines},
    scenario{"udp", udp},
    scenario{"unix_datagrams", unix_datagrams},
    scenario{"datagrams_of_coroutines", datagrams_of_coroutines},
};

}  // namespace

std::span<const scenario> message_scenarios() { return all; }

}  // namespace weft::test
