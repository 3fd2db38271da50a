// Reading from a buffered stream: lines, texts up to a delimiter, exact counts, and what is left in
// the buffer when a read ends early.
#include <algorithm>
#include <array>
#include <atomic>
#include <ranges>
#include <sys/socket.h>
#include <vector>

#include "net_fixture.hpp"
#include "stream_pair.hpp"

namespace weft::test {
namespace {

using namespace std::chrono_literals;
using net::borrowed_bytes;
using net::stream;

static_assert(std::ranges::input_range<stream::line_range>);
static_assert(std::is_nothrow_move_constructible_v<stream>);

class StreamRead : public runtime_test {};

// The line that comes, or what the error says.
std::string line_or_error(stream& from) {
  std::error_code ec;
  const auto line = from.read_line(ec);
  EXPECT_NE(line.has_value(), static_cast<bool>(ec));
  return line.value_or(ec.message());
}

std::string error(std::error_code ec) { return ec.message(); }

std::string rest_of(stream& from) { return from.read_all(std::size_t{1} << 30); }

// ---- lines -----------------------------------------------------------------------------------

TEST_F(StreamRead, a_line_comes_with_its_newline_and_the_last_one_as_it_is) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    send_all(peer, "first\n\nthird\nlast");
    peer.reset();

    EXPECT_EQ(ours.read_line(), "first\n");
    EXPECT_EQ(ours.read_line(), "\n");
    EXPECT_EQ(ours.read_line(), "third\n");
    EXPECT_EQ(ours.read_line(), "last");
    EXPECT_EQ(ours.read_line(), std::nullopt);
    EXPECT_EQ(line_or_error(ours), error(errc::eof));
  });
}

TEST_F(StreamRead, a_stream_that_ends_with_a_newline_has_no_line_behind_it) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair());
    send_all(peer, "only\n");
    peer.reset();

    EXPECT_EQ(ours.read_line(), "only\n");
    EXPECT_EQ(ours.read_line(), std::nullopt);
  });
}

TEST_F(StreamRead, a_line_that_comes_byte_by_byte_is_waited_for) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    auto sender = spawn([&peer = peer] {
      for (const char each : std::string_view{"piece by piece\nnext"}) {
        send_all(peer, {&each, 1});
        one_turn();
      }
      peer.reset();
    });

    EXPECT_EQ(ours.read_line(), "piece by piece\n");
    EXPECT_EQ(ours.read_line(), "next");
    sender.join();
  });
}

TEST_F(StreamRead, lines_that_came_together_are_read_without_the_socket) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    send_all(peer, "1\n2\n3\n");

    EXPECT_EQ(ours.available(), 0u);
    EXPECT_EQ(ours.read_line(), "1\n");
    EXPECT_EQ(ours.available(), 4u);
    EXPECT_EQ(ours.read_line(), "2\n");
    EXPECT_EQ(ours.available(), 2u);
  });
}

TEST_F(StreamRead, lines_of_every_length_come_through_unchanged) {
  run([] {
    auto [left, peer] = weft_unix_pair();
    stream ours{std::move(left)};
    std::vector<std::string> lines;
    for (const std::size_t size : {0U, 1U, 100U, 16'382U, 16'383U, 16'384U, 40'000U, 65'535U, 7U}) {
      std::string line = pattern(size, static_cast<unsigned>(size));
      std::replace(line.begin(), line.end(), '\n', '.');
      lines.push_back(line + "\n");
    }
    auto sender = spawn([&, &peer = peer] {
      for (int round = 0; round < 3; ++round) {
        for (const std::string& line : lines) {
          for (std::size_t sent = 0; sent < line.size(); sent += 10'000) {
            peer.write(std::string_view{line}.substr(sent, 10'000));
          }
        }
      }
    });

    for (int round = 0; round < 3; ++round) {
      for (const std::string& line : lines) EXPECT_TRUE(ours.read_line() == line) << line.size();
    }
    sender.join();
  });
}

TEST_F(StreamRead, a_line_may_be_as_long_as_the_limit_and_no_longer) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair(), {.max_line = 10});
    send_all(peer, "123456789\n1234567890\n");

    EXPECT_EQ(ours.read_line(), "123456789\n");
    EXPECT_EQ(code_thrown_by([&o = ours] { o.read_line(); }), std::errc::message_size);
    EXPECT_EQ(line_or_error(ours), error(std::make_error_code(std::errc::message_size)));
    std::array<std::byte, 11> skipped;
    EXPECT_EQ(ours.read(skipped), 11u);
    EXPECT_EQ(text_of(skipped), "1234567890\n");
  });
}

TEST_F(StreamRead, a_line_too_long_is_told_before_its_end_has_come) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair());
    const std::string endless(70'000, 'x');
    auto sender = spawn([&, &peer = peer] { send_all(peer, endless); });
    one_turn();

    EXPECT_EQ(code_thrown_by([&o = ours] { o.read_line(); }), std::errc::message_size);
    EXPECT_GT(ours.available(), std::size_t{64} * 1024);
    EXPECT_LE(ours.available(), std::size_t{64} * 1024 + borrowed_bytes::capacity);
    sender.join();
  });
}

TEST_F(StreamRead, a_last_line_without_newline_may_be_as_long_as_the_limit_too) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair(), {.max_line = 10});
    send_all(peer, "1234567890");
    peer.reset();

    EXPECT_EQ(ours.read_line(), "1234567890");
  });
}

TEST_F(StreamRead, the_lines_of_a_stream_are_a_range) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    send_all(peer, "a\nb\nc");
    peer.reset();
    std::vector<std::string> seen;
    for (auto line : ours.lines()) seen.push_back(std::move(line));

    EXPECT_EQ(seen, (std::vector<std::string>{"a\n", "b\n", "c"}));
  });
}

TEST_F(StreamRead, a_range_of_lines_that_is_left_early_goes_on_with_the_next) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    send_all(peer, "a\nb\nc\n");
    for (const auto& line : ours.lines()) {
      if (line == "a\n") break;
    }
    std::error_code ec;
    for (const auto& line : ours.lines(ec)) {
      EXPECT_EQ(line, "b\n");
      break;
    }

    EXPECT_EQ(ours.read_line(), "c\n");
  });
}

TEST_F(StreamRead, an_error_ends_a_range_of_lines_and_the_end_of_the_stream_is_none) {
  run([] {
    auto [good, good_peer] = stream_over(tcp_pair());
    auto [bad, bad_peer] = stream_over(tcp_pair());
    std::error_code ec = errc::closed;
    good_peer.reset();
    for ([[maybe_unused]] auto& line : good.lines(ec)) ADD_FAILURE();
    EXPECT_FALSE(ec);
    reset_by(bad_peer);
    for ([[maybe_unused]] auto& line : bad.lines(ec)) ADD_FAILURE();
    EXPECT_EQ(ec, std::errc::connection_reset);

    bad.close();
    EXPECT_EQ(code_thrown_by([&s = bad] {
                for ([[maybe_unused]] auto& line : s.lines()) ADD_FAILURE();
              }),
              errc::closed);
  });
}

// ---- other reads -----------------------------------------------------------------------------

TEST_F(StreamRead, reads_until_a_delimiter_wherever_its_bytes_are_torn_apart) {
  run([] {
    const std::string_view head = "GET / HTTP/1.1\r\n\r\n";
    for (std::size_t tear = 0; tear <= head.size(); ++tear) {
      auto [ours, peer] = stream_over(unix_pair());
      send_all(peer, head.substr(0, tear));
      auto reader = spawn([&s = ours] { return s.read_until("\r\n\r\n"); });
      one_turn();
      send_all(peer, head.substr(tear));
      send_all(peer, "body");
      peer.reset();
      reader.join();

      EXPECT_EQ(reader.result(), head) << tear;
      EXPECT_EQ(rest_of(ours), "body") << tear;
    }
  });
}

TEST_F(StreamRead, a_delimiter_that_seems_to_begin_early_is_found_at_its_place) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair());
    auto sender = spawn([&peer = peer] {
      for (const char each : std::string_view{"aabaab|aabaaab"}) {
        send_all(peer, {&each, 1});
        one_turn();
      }
    });

    EXPECT_EQ(ours.read_until("aab|"), "aabaab|");
    EXPECT_EQ(ours.read_until("aaab"), "aabaaab");
    sender.join();
  });
}

TEST_F(StreamRead, the_end_before_a_delimiter_is_an_error_and_leaves_what_came) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    send_all(peer, "key=value;half");
    peer.reset();

    EXPECT_EQ(ours.read_until(";"), "key=value;");
    EXPECT_EQ(code_thrown_by([&o = ours] { o.read_until(";"); }), errc::eof);
    EXPECT_EQ(rest_of(ours), "half");
  });
}

TEST_F(StreamRead, an_empty_delimiter_is_refused) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());

    EXPECT_EQ(code_thrown_by([&o = ours] { o.read_until(""); }), std::errc::invalid_argument);
  });
}

TEST_F(StreamRead, read_some_gives_what_is_in_the_buffer_first) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    send_all(peer, "line\nrest");
    ours.read_line();
    send_all(peer, " and more");
    std::array<std::byte, 100> buffer;

    EXPECT_EQ(ours.read_some({}), 0u);
    EXPECT_EQ(text_of(std::span{buffer}.first(ours.read_some(buffer))), "rest");
    EXPECT_EQ(text_of(std::span{buffer}.first(ours.read_some(buffer))), " and more");
    peer.reset();
    EXPECT_EQ(code_thrown_by([&, &o = ours] { o.read_some(buffer); }), errc::eof);
  });
}

TEST_F(StreamRead, read_fills_its_buffer_from_what_was_left_and_from_the_socket) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    send_all(peer, "size 8\n123");
    ours.read_line();
    std::array<std::byte, 8> buffer;
    auto reader = spawn([&, &o = ours] { return o.read(buffer); });
    one_turn();
    EXPECT_FALSE(reader.done());
    send_all(peer, "45678next");
    reader.join();

    EXPECT_EQ(text_of(buffer), "12345678");
    peer.reset();
    std::error_code ec;
    EXPECT_EQ(ours.read(buffer, ec), 4u);
    EXPECT_EQ(ec, errc::eof);
    EXPECT_EQ(text_of(std::span{buffer}.first(4)), "next");
  });
}

TEST_F(StreamRead, reads_all_that_there_is_up_to_a_limit) {
  run([] {
    const std::string text = pattern(100'000);
    for (const std::size_t limit : {100'000U, 99'999U}) {
      auto [ours, peer] = stream_over(unix_pair());
      auto sender = spawn([&, &peer = peer] {
        send_all(peer, text);
        peer.reset();
      });
      one_turn();
      std::error_code ec;
      const std::string got = ours.read_all(limit, ec);

      if (limit == text.size()) {
        EXPECT_TRUE(got == text);
        EXPECT_FALSE(ec);
        EXPECT_EQ(ours.read_all(limit), "");
      } else {
        EXPECT_EQ(got, "");
        EXPECT_EQ(ec, std::errc::message_size);
        EXPECT_TRUE(rest_of(ours) == text);
      }
      sender.join();
    }
  });
}

// ---- reads that end early --------------------------------------------------------------------

TEST_F(StreamRead, a_cancelled_read_leaves_what_came_to_the_next) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    send_all(peer, "half a ");
    for (int i = 0; i < 3; ++i) {
      auto victim = spawn([&, &o = ours] {
        std::error_code ec;
        if (i == 0) o.read_line(ec);
        if (i == 1) o.read_until("line", ec);
        if (i == 2) o.read_all(1000, ec);
        return ec;
      });
      one_turn();
      ASSERT_FALSE(victim.done());
      victim.request_cancel();
      victim.join();
      EXPECT_EQ(victim.result(), errc::cancelled);
      EXPECT_EQ(ours.available(), 7u);
    }
    send_all(peer, "line\n");

    EXPECT_EQ(ours.read_line(), "half a line\n");
  });
}

TEST_F(StreamRead, a_timeout_leaves_what_came_to_the_next) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    send_all(peer, "half a ");
    const bool in_time = move_on_after(1ms, [&o = ours] { o.read_line(); });
    send_all(peer, "line\n");

    EXPECT_FALSE(in_time);
    EXPECT_EQ(ours.read_line(), "half a line\n");
  });
}

TEST_F(StreamRead, a_cancelled_task_takes_nothing_although_a_line_is_there) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    send_all(peer, "one\ntwo\n");
    ours.read_line();
    {
      cancel_scope scope;
      scope.request_cancel();
      std::array<std::byte, 4> buffer;
      EXPECT_EQ(code_thrown_by([&o = ours] { o.read_line(); }), errc::cancelled);
      EXPECT_EQ(code_thrown_by([&, &o = ours] { o.read(buffer); }), errc::cancelled);
    }

    EXPECT_EQ(ours.read_line(), "two\n");
  });
}

TEST_F(StreamRead, a_close_by_another_fiber_ends_the_wait_and_every_later_read) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    send_all(peer, "line\nhalf");
    ours.read_line();
    auto reader = spawn([&o = ours] { return line_or_error(o); });
    one_turn();
    ours.close();
    reader.join();

    EXPECT_EQ(reader.result(), error(errc::closed));
    EXPECT_EQ(line_or_error(ours), error(errc::closed));
    EXPECT_FALSE(ours.is_open());
  });
}

TEST_F(StreamRead, a_reader_who_waits_holds_no_buffer_of_the_worker) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    auto [other, other_peer] = tcp_pair();
    send_all(other_peer, "1");
    const std::byte* const before = other.read_some_borrowed().bytes().data();
    send_all(peer, "line\nhalf a ");
    auto reader = spawn([&o = ours] {
      o.read_line();
      return o.read_line();
    });
    one_turn();
    ASSERT_FALSE(reader.done());
    send_all(other_peer, "2");

    EXPECT_EQ(other.read_some_borrowed().bytes().data(), before);
    send_all(peer, "line\n");
    reader.join();
    EXPECT_EQ(reader.result(), "half a line\n");
  });
}

// ---- several readers, workers, moves ---------------------------------------------------------

TEST_F(StreamRead, readers_of_several_workers_get_whole_lines_each) {
  constexpr unsigned workers = 3;
  run(
      [] {
        constexpr int count = 3'000;
        auto [left, peer] = weft_unix_pair();
        stream ours{std::move(left)};
        std::atomic<int> whole = 0;
        std::vector<fiber<>> readers;
        for (unsigned i = 0; i < workers; ++i) {
          readers.push_back(spawn_on(i, [&] {
            for (auto& line : ours.lines()) {
              EXPECT_EQ(line, "a line that must not be torn apart\n");
              ++whole;
            }
          }));
        }
        for (int i = 0; i < count; ++i) peer.write("a line that must not be torn apart\n");
        peer.close();
        for (auto& each : readers) each.join();
        for (auto& each : readers) each.result();

        EXPECT_EQ(whole, count);
      },
      {.workers = workers});
}

TEST_F(StreamRead, a_stream_takes_its_buffer_along_when_it_is_moved) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    send_all(peer, "one\ntwo\n");
    ours.read_line();
    stream moved = std::move(ours);
    EXPECT_EQ(moved.read_line(), "two\n");

    auto [other, other_peer] = stream_over(tcp_pair());
    moved = std::move(other);
    EXPECT_EQ(recv_until_end(peer), "");
    send_all(other_peer, "three\n");
    EXPECT_EQ(moved.read_line(), "three\n");
    EXPECT_FALSE(other.is_open());
  });
}

TEST_F(StreamRead, a_stream_knows_its_peer) {
  run([] {
    auto [ours, peer] = tcp_pair();
    const net::endpoint remote = ours.remote_endpoint();
    stream asked{std::move(ours)};
    EXPECT_EQ(asked.remote_endpoint(), remote);
    EXPECT_EQ(asked.socket().remote_endpoint(), remote);
    asked.close();
    EXPECT_EQ(code_thrown_by([&] { asked.remote_endpoint(); }), errc::closed);

    auto [gone, gone_peer] = tcp_pair();
    const stream told{std::move(gone), remote};
    reset_by(gone_peer);
    EXPECT_EQ(told.remote_endpoint(), remote);
  });
}

}  // namespace
}  // namespace weft::test
