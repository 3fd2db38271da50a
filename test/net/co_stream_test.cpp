// Coroutines that read from a buffered stream: lines, texts up to a delimiter, and what is left
// when a read ends early.
#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "coroutines.hpp"
#include "stream_pair.hpp"

namespace weft::test {
namespace {

using namespace std::chrono_literals;
using net::stream;

using line = std::optional<std::string>;

class CoStreamRead : public runtime_test {};

line read_line_of(stream& from) { return co::block_on(from.co_read_line()); }

// A task that reads a line and says how that ended.
fiber<std::error_code> spawn_line_reader(stream& from) {
  return co::spawn([&from]() -> co::task<std::error_code> {
    std::error_code ec;
    const line got = co_await from.co_read_line(ec);
    EXPECT_NE(got.has_value(), static_cast<bool>(ec));
    co_return ec;
  });
}

std::error_code line_error(stream& from) {
  auto reader = spawn_line_reader(from);
  reader.join();
  return reader.result();
}

TEST_F(CoStreamRead, a_line_comes_with_its_newline_and_the_last_one_as_it_is) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    send_all(peer, "first\n\nthird\nlast");
    peer.reset();

    EXPECT_EQ(read_line_of(ours), "first\n");
    EXPECT_EQ(read_line_of(ours), "\n");
    EXPECT_EQ(read_line_of(ours), "third\n");
    EXPECT_EQ(read_line_of(ours), "last");
    EXPECT_EQ(read_line_of(ours), std::nullopt);
    EXPECT_EQ(line_error(ours), errc::eof);
  });
}

TEST_F(CoStreamRead, a_line_that_comes_byte_by_byte_is_waited_for) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    auto reader = co::spawn([&s = ours]() -> co::task<std::vector<std::string>> {
      std::vector<std::string> lines;
      while (auto each = co_await s.co_read_line()) lines.push_back(std::move(*each));
      co_return lines;
    });
    for (const char each : std::string_view{"piece by piece\nnext"}) {
      send_all(peer, {&each, 1});
      one_turn();
    }
    peer.reset();
    reader.join();

    EXPECT_EQ(reader.result(), (std::vector<std::string>{"piece by piece\n", "next"}));
  });
}

TEST_F(CoStreamRead, lines_of_every_length_come_through_unchanged) {
  run([] {
    auto [left, peer] = weft_unix_pair();
    stream ours{std::move(left)};
    std::string all;
    std::vector<std::string> lines;
    for (const std::size_t size : {0U, 1U, 100U, 16'382U, 16'383U, 16'384U, 40'000U, 65'535U, 7U}) {
      std::string each = pattern(size, static_cast<unsigned>(size));
      std::replace(each.begin(), each.end(), '\n', '.');
      lines.push_back(each + "\n");
      all += lines.back();
    }
    auto writer = co_spawn_writer(peer, all);
    for (const std::string& each : lines) {
      EXPECT_TRUE(read_line_of(ours) == each) << each.size();
    }
    writer.join();
  });
}

TEST_F(CoStreamRead, a_line_may_be_as_long_as_the_limit_and_no_longer) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair(), {.max_line = 10});
    send_all(peer, "123456789\n1234567890\n");
    EXPECT_EQ(read_line_of(ours), "123456789\n");
    EXPECT_EQ(code_thrown_when_awaiting([&s = ours] { return s.co_read_line(); }),
              std::errc::message_size);
    EXPECT_EQ(line_error(ours), std::errc::message_size);
    std::array<std::byte, 11> skipped;

    EXPECT_EQ(co::block_on(ours.co_read(skipped)), 11u);
    EXPECT_EQ(text_of(skipped), "1234567890\n");
  });
}

TEST_F(CoStreamRead, reads_until_a_delimiter_wherever_its_bytes_are_torn_apart) {
  run([] {
    const std::string_view head = "GET / HTTP/1.1\r\n\r\n";
    for (std::size_t tear = 0; tear <= head.size(); ++tear) {
      auto [ours, peer] = stream_over(unix_pair());
      send_all(peer, head.substr(0, tear));
      auto reader = co::spawn(ours.co_read_until("\r\n\r\n"));
      one_turn();
      send_all(peer, head.substr(tear));
      send_all(peer, "body");
      peer.reset();
      reader.join();

      EXPECT_EQ(reader.result(), head) << tear;
      EXPECT_EQ(co::block_on(ours.co_read_all(100)), "body") << tear;
    }
  });
}

TEST_F(CoStreamRead, the_end_before_a_delimiter_is_an_error_and_leaves_what_came) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    send_all(peer, "key=value;half");
    peer.reset();

    EXPECT_EQ(co::block_on(ours.co_read_until(";")), "key=value;");
    EXPECT_EQ(code_thrown_when_awaiting([&s = ours] { return s.co_read_until(";"); }), errc::eof);
    EXPECT_EQ(code_thrown_when_awaiting([&s = ours] { return s.co_read_until(""); }),
              std::errc::invalid_argument);
    EXPECT_EQ(co::block_on(ours.co_read_all(4)), "half");
  });
}

TEST_F(CoStreamRead, read_some_and_read_take_what_is_in_the_buffer_first) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    send_all(peer, "line\nrest");
    read_line_of(ours);
    send_all(peer, "12345678next");
    peer.reset();
    std::array<std::byte, 8> buffer;
    in_coroutine([&, &s = ours]() -> co::task<> {
      std::size_t count = co_await s.co_read_some({});
      EXPECT_EQ(count, 0u);
      count = co_await s.co_read_some(buffer);
      EXPECT_EQ(text_of(std::span{buffer}.first(count)), "rest");
      count = co_await s.co_read(buffer);
      EXPECT_EQ(text_of(std::span{buffer}.first(count)), "12345678");
      std::error_code ec;
      count = co_await s.co_read(buffer, ec);
      EXPECT_EQ(ec, errc::eof);
      EXPECT_EQ(text_of(std::span{buffer}.first(count)), "next");
    });
  });
}

TEST_F(CoStreamRead, reads_all_that_there_is_up_to_a_limit) {
  run([] {
    const std::string text = pattern(100'000);
    for (const std::size_t limit : {100'000U, 99'999U}) {
      auto [left, right] = weft_unix_pair();
      stream ours{std::move(left)};
      auto writer = co::spawn([&, &s = right]() -> co::task<> {
        co_await s.co_write(text);
        s.close();
      });
      std::error_code ec;
      const std::string got = in_coroutine([&] { return ours.co_read_all(limit, ec); });

      EXPECT_EQ(ec, limit == text.size() ? std::error_code{}
                                         : std::make_error_code(std::errc::message_size));
      EXPECT_TRUE(got == (ec ? "" : text));
      EXPECT_TRUE(co::block_on(ours.co_read_all(text.size())) == (ec ? text : ""));
      writer.join();
    }
  });
}

TEST_F(CoStreamRead, a_cancelled_read_leaves_what_came_to_the_next) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    send_all(peer, "half a ");
    for (int kind = 0; kind < 3; ++kind) {
      const outcome result =
          cancel_while_suspended([&, &s = ours](auto& ec) -> co::task<std::size_t> {
            if (kind == 0) co_await s.co_read_line(ec);
            if (kind == 1) co_await s.co_read_until("line", ec);
            if (kind == 2) co_await s.co_read_all(1000, ec);
            co_return 0;
          });
      EXPECT_EQ(result.ec, errc::cancelled);
      EXPECT_EQ(ours.available(), 7u);
    }
    send_all(peer, "line\n");

    EXPECT_EQ(read_line_of(ours), "half a line\n");
  });
}

TEST_F(CoStreamRead, a_timeout_leaves_what_came_and_a_cancelled_task_takes_nothing) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    send_all(peer, "one\nhalf a ");
    in_coroutine([&s = ours]() -> co::task<> {
      std::error_code ec;
      {
        cancel_scope scope;
        scope.request_cancel();
        co_await s.co_read_line(ec);
        EXPECT_EQ(ec, errc::cancelled);
      }
      const line first = co_await s.co_read_line(ec);
      EXPECT_EQ(first, "one\n");
      const timeout limit{1ms};
      co_await s.co_read_line(ec);
      EXPECT_EQ(ec, errc::timed_out);
    });
    send_all(peer, "line\n");

    EXPECT_EQ(read_line_of(ours), "half a line\n");
  });
}

TEST_F(CoStreamRead, a_close_by_another_task_ends_the_wait_of_all_and_every_later_read) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    auto reader = spawn_line_reader(ours);
    auto next = spawn_line_reader(ours);
    one_turn();
    ours.close();
    reader.join();
    next.join();

    EXPECT_EQ(reader.result(), errc::closed);
    EXPECT_EQ(next.result(), errc::closed);
    EXPECT_EQ(line_error(ours), errc::closed);
  });
}

TEST_F(CoStreamRead, a_reader_who_waits_holds_no_buffer_of_the_worker) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    auto [other, other_peer] = tcp_pair();
    send_all(other_peer, "1");
    const std::byte* const before = other.read_some_borrowed().bytes().data();
    send_all(peer, "line\nhalf a ");
    read_line_of(ours);
    auto reader = co::spawn(ours.co_read_line());
    one_turn();
    ASSERT_FALSE(reader.done());
    send_all(other_peer, "2");

    EXPECT_EQ(other.read_some_borrowed().bytes().data(), before);
    send_all(peer, "line\n");
    reader.join();
    EXPECT_EQ(reader.result(), "half a line\n");
  });
}

}  // namespace
}  // namespace weft::test
