// What the tests of net/ share: connected pairs, text in and out, and turns of the scheduler.
//
// Threads: the thread of the test; the pairs are made without a runtime.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <weft/net.hpp>

#include "support/runtime_fixture.hpp"
#include "support/scratch_folder.hpp"
#include "support/tcp.hpp"

namespace weft::test {

/// A socket of weft's, and the plain blocking descriptor at the other end of the connection.
struct plain_pair {
  net::socket ours;
  unique_fd peer;
};

/// TCP over 127.0.0.1, without Nagle's delay on either side.
plain_pair tcp_pair();
/// UNIX stream sockets.
plain_pair unix_pair();

/// Two sockets of weft's that are connected to each other.
struct socket_pair {
  net::socket left;
  net::socket right;
};

socket_pair weft_tcp_pair();
socket_pair weft_unix_pair();

std::span<const std::byte> bytes_of(std::string_view text);
std::string text_of(std::span<const std::byte> bytes);

/// Bytes that repeat themselves at no power of two, different for each `seed`.
std::string pattern(std::size_t size, unsigned seed = 0);

/// Reads once, at most `at_most` bytes.
std::string read_some_text(net::socket& from, std::size_t at_most, std::error_code& ec);
std::string read_some_text(net::socket& from, std::size_t at_most = 4096);
/// Reads exactly `size` bytes; fewer, with `ec` set, if there are no more.
std::string read_text(net::socket& from, std::size_t size, std::error_code& ec);
std::string read_text(net::socket& from, std::size_t size);
/// Reads until the stream ends or fails; `ec` says how.
std::string read_to_end(net::socket& from, std::error_code& ec, std::size_t step = 4096);

/// A fiber that reads once from `from`, which stays where it is; its result says how that ended.
fiber<std::error_code> spawn_reader(net::socket& from);

/// Makes the peer of a connection reset it: what is unsent is dropped.
void reset_by(unique_fd& peer);
/// Returns what has arrived at `peer` and waits for nothing.
std::string arrived_at(const unique_fd& peer);
/// Sends one urgent byte.
void send_urgent(const unique_fd& peer, char byte);
/// Sends until the kernel takes no more. Returns how many bytes that were.
std::size_t fill(int fd);

/// Returns the code of the std::system_error that `call` throws, none if it throws none.
template <class Call>
std::error_code code_thrown_by(Call&& call) {
  try {
    call();
  } catch (const std::system_error& error) {
    return error.code();
  }
  return {};
}

/// Expects that `lines`, of diagnostics, is one, and that it says all of `words`.
void expect_one_line(const std::vector<std::string>& lines,
                     std::initializer_list<std::string_view> words);

/// Lets every fiber that is ready run once. A fiber spawned before has then parked, unless it
/// yields itself.
inline void one_turn() { this_fiber::yield(); }

/// Gives way until `condition()` holds; the watchdog of the fixture ends what never does.
template <class Condition>
void give_way_until(Condition&& condition) {
  while (!condition()) this_fiber::yield();
}

/// Lowers the limit on descriptors so that none is left, and restores it. Compare and switch fibers
/// afterwards: UBSan's look at a virtual call needs descriptors too.
class no_more_descriptors {
public:
  no_more_descriptors();
  no_more_descriptors(const no_more_descriptors&) = delete;
  no_more_descriptors& operator=(const no_more_descriptors&) = delete;

  ~no_more_descriptors() { end(); }

  void end();

private:
  std::uint64_t former_limit_;
};

}  // namespace weft::test
