// Coroutines that write to a buffered stream: what is kept, when it goes out, and what is left when
// an operation ends early.
#include <array>
#include <atomic>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <vector>

#include "coroutines.hpp"
#include "stream_pair.hpp"

namespace weft::test {
namespace {

using net::borrowed_bytes;
using net::stream;

using line = std::optional<std::string>;

class CoStreamWrite : public runtime_test {};

TEST_F(CoStreamWrite, keeps_what_is_written_until_it_is_flushed) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    EXPECT_EQ(co::block_on(ours.co_write("one ")), 4u);
    EXPECT_EQ(co::block_on(ours.co_write(bytes_of("two"))), 3u);
    EXPECT_EQ(co::block_on(ours.co_write("")), 0u);
    EXPECT_EQ(ours.pending(), 7u);
    EXPECT_EQ(arrived_at(peer), "");

    EXPECT_EQ(co::block_on(ours.co_flush()), 7u);
    EXPECT_EQ(recv_all(peer, 7), "one two");
    EXPECT_EQ(co::block_on(ours.co_flush()), 0u);
  });
}

TEST_F(CoStreamWrite, writes_of_every_size_come_through_unchanged) {
  run([] {
    auto [left, right] = weft_unix_pair();
    stream ours{std::move(left)};
    std::error_code ec;
    auto receiver = co::spawn(co_read_to_end(right, ec));
    std::string all;
    for (const std::size_t size : {1U, 100U, 16'283U, 1U, 16'384U, 16'385U, 5U, 300'000U, 40U}) {
      const std::string data = pattern(size, static_cast<unsigned>(size));
      EXPECT_EQ(in_coroutine([&] { return ours.co_write(data); }), size);
      EXPECT_LE(ours.pending(), borrowed_bytes::capacity);
      all += data;
    }
    in_coroutine([&] { return ours.co_shutdown(); });
    receiver.join();

    EXPECT_TRUE(receiver.result() == all);
  });
}

TEST_F(CoStreamWrite, two_ends_that_answer_each_other_need_no_flush) {
  run([] {
    auto pair = weft_tcp_pair();
    stream client{std::move(pair.left)};
    stream server{std::move(pair.right)};
    auto echo = co::spawn([&]() -> co::task<> {
      while (const auto each = co_await server.co_read_line()) co_await server.co_write(*each);
      server.close();
    });
    in_coroutine([&]() -> co::task<> {
      for (int i = 0; i < 100; ++i) {
        co_await client.co_write(std::to_string(i) + "\n");
        const line answer = co_await client.co_read_line();
        EXPECT_EQ(answer, std::to_string(i) + "\n");
      }
      co_await client.co_shutdown();
      const line none = co_await client.co_read_line();
      EXPECT_EQ(none, std::nullopt);
    });
    echo.join();
    echo.result();
  });
}

TEST_F(CoStreamWrite, every_kind_of_read_flushes_before_it_waits) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair());
    std::array<std::byte, 1> buffer;
    for (int kind = 0; kind < 5; ++kind) {
      auto reader = co::spawn([&, &s = ours]() -> co::task<> {
        std::error_code ec;
        co_await s.co_write("question");
        if (kind == 0) co_await s.co_read_some(buffer, ec);
        if (kind == 1) co_await s.co_read(buffer, ec);
        if (kind == 2) co_await s.co_read_line(ec);
        if (kind == 3) co_await s.co_read_until("x", ec);
        if (kind == 4) co_await s.co_read_all(100, ec);
      });
      one_turn();
      EXPECT_EQ(arrived_at(peer), "question") << kind;
      reader.request_cancel();
      reader.join();
    }
  });
}

// So that a task that only reads goes on reading while another's flush waits for the peer.
TEST_F(CoStreamWrite, a_reader_does_not_flush_what_another_task_has_written) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair());
    auto reader = co::spawn(ours.co_read_line());
    one_turn();
    fill(ours.socket().native_handle());
    ours.write("stuck");
    auto flusher = co::spawn(ours.co_flush());
    one_turn();
    send_all(peer, "line\n");
    reader.join();

    EXPECT_EQ(reader.result(), "line\n");
    EXPECT_FALSE(flusher.done());
    flusher.request_cancel();
    flusher.join();
  });
}

TEST_F(CoStreamWrite, a_cancelled_write_says_how_much_went_out_and_keeps_nothing_of_the_rest) {
  for (const std::size_t size : {20'000U, 1'000'000U}) {
    run([&] {
      auto [ours, peer] = stream_over(unix_pair());
      const std::string first = pattern(5'000, 1);
      const std::string data = pattern(size, 2);
      std::size_t filled = fill(ours.socket().native_handle());
      if (size > filled) filled -= recv_all(peer, filled / 2).size();  // room for some of it
      ours.write(first);
      const outcome result =
          cancel_while_suspended([&, &s = ours](auto& ec) { return s.co_write(data, ec); });
      EXPECT_EQ(result.ec, errc::cancelled);
      net::socket from = net::socket::adopt(peer.release());
      auto receiver = co::spawn([&]() -> co::task<std::string> {
        co_await co_read_text(from, filled);
        std::error_code ec;
        co_return co_await co_read_to_end(from, ec);
      });
      in_coroutine([&, &s = ours]() -> co::task<> {
        co_await s.co_write(std::string_view{data}.substr(result.count));
        co_await s.co_shutdown();
      });
      receiver.join();

      EXPECT_TRUE(receiver.result() == first + data) << result.count << " of " << data.size();
    });
  }
}

TEST_F(CoStreamWrite, a_cancelled_flush_says_how_much_went_out_and_the_next_one_sends_the_rest) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair());
    const std::size_t before = fill(ours.socket().native_handle());
    const std::string data = pattern(borrowed_bytes::capacity);
    ours.write(data);
    const outcome result = cancel_while_suspended([&s = ours](auto& ec) { return s.co_flush(ec); });
    EXPECT_EQ(result.ec, errc::cancelled);
    EXPECT_EQ(result.count + ours.pending(), data.size());
    recv_all(peer, before);
    in_coroutine([&s = ours]() -> co::task<> {
      co_await s.co_write("more");
      co_await s.co_shutdown();
    });

    EXPECT_TRUE(recv_until_end(peer) == data + "more");
  });
}

TEST_F(CoStreamWrite, a_cancelled_shutdown_leaves_what_was_not_sent_to_the_next) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair());
    const std::size_t before = fill(ours.socket().native_handle());
    ours.write("the rest");
    const outcome result =
        cancel_while_suspended([&s = ours](std::error_code& ec) -> co::task<std::size_t> {
          co_await s.co_shutdown(ec);
          co_return s.pending();
        });
    EXPECT_EQ(result.ec, errc::cancelled);
    EXPECT_EQ(result.count, 8u);
    recv_all(peer, before);
    in_coroutine([&s = ours]() -> co::task<> { co_await s.co_shutdown(); });

    EXPECT_EQ(recv_until_end(peer), "the rest");
  });
}

TEST_F(CoStreamWrite, a_flush_that_waits_ends_when_the_stream_is_closed) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair());
    fill(ours.socket().native_handle());
    ours.write("stuck");
    auto writer = co::spawn([&s = ours]() -> co::task<std::error_code> {
      std::error_code ec;
      co_await s.co_flush(ec);
      co_return ec;
    });
    one_turn();
    ours.close();
    writer.join();

    EXPECT_EQ(writer.result(), errc::closed);
    EXPECT_EQ(code_thrown_when_awaiting([&s = ours] { return s.co_write("x"); }), errc::closed);
    EXPECT_EQ(ours.pending(), 5u);
  });
}

TEST_F(CoStreamWrite, a_flush_that_fails_for_good_is_told_once_to_a_reader_and_always_to_a_writer) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair());
    send_all(peer, "the last line\n");
    ::shutdown(peer.get(), SHUT_RD);
    in_coroutine([&s = ours]() -> co::task<> {
      std::error_code ec;
      co_await s.co_write("nobody reads this");
      co_await s.co_read_line(ec);
      EXPECT_EQ(ec, std::errc::broken_pipe);
      const line last = co_await s.co_read_line(ec);
      EXPECT_EQ(last, "the last line\n");
      co_await s.co_write("x", ec);
      EXPECT_EQ(ec, std::errc::broken_pipe);
      co_await s.co_flush(ec);
      EXPECT_EQ(ec, std::errc::broken_pipe);
      co_await s.co_shutdown(ec);
      EXPECT_EQ(ec, std::errc::broken_pipe);
    });

    EXPECT_EQ(ours.pending(), 17u);
  });
}

TEST_F(CoStreamWrite, fibers_and_coroutines_of_one_stream_do_not_tear_each_others_lines_apart) {
  constexpr unsigned workers = 3;
  run(
      [] {
        constexpr std::size_t count = 200;
        auto pair = weft_unix_pair();
        stream ours{std::move(pair.left)};
        stream peer{std::move(pair.right)};
        std::vector<fiber<>> tasks;
        std::atomic<std::size_t> whole = 0;
        for (unsigned i = 0; i < workers; ++i) {
          const std::string text = std::string(500 + i, static_cast<char>('a' + i)) + "\n";
          const auto see = [&whole](const std::string& got) {
            EXPECT_EQ(got, std::string(got.size() - 1, got[0]) + "\n");
            ++whole;
          };
          tasks.push_back(spawn_on(i, [&ours, text] {
            for (std::size_t n = 0; n < count; ++n) ours.write(text);
            ours.flush();
          }));
          tasks.push_back(co::spawn_on(i, [&ours, text]() -> co::task<> {
            for (std::size_t n = 0; n < count; ++n) co_await ours.co_write(text);
            co_await ours.co_flush();
          }));
          tasks.push_back(co::spawn_on(i, [&peer, see]() -> co::task<> {
            for (std::size_t n = 0; n < count; ++n) see(*co_await peer.co_read_line());
          }));
          tasks.push_back(spawn_on(i, [&peer, see] {
            for (std::size_t n = 0; n < count; ++n) see(*peer.read_line());
          }));
        }
        for (auto& each : tasks) {
          each.join();
          each.result();
        }

        EXPECT_EQ(whole, 2 * workers * count);
      },
      {.workers = workers});
}

}  // namespace
}  // namespace weft::test
