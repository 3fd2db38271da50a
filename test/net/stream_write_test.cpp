// Writing to a buffered stream: what is kept and when it goes out, and what is told of the bytes
// that did not.
#include <array>
#include <stdexcept>
#include <sys/socket.h>
#include <thread>
#include <vector>

#include "cancelled.hpp"
#include "net_fixture.hpp"
#include "stream_pair.hpp"

namespace weft::test {
namespace {

using net::borrowed_bytes;
using net::stream;

class StreamWrite : public runtime_test {};

// ---- what is kept ----------------------------------------------------------------------------

TEST_F(StreamWrite, keeps_what_is_written_until_it_is_flushed) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    EXPECT_EQ(ours.write("one "), 4u);
    EXPECT_EQ(ours.write(bytes_of("two")), 3u);
    EXPECT_EQ(ours.write(""), 0u);
    EXPECT_EQ(ours.pending(), 7u);
    EXPECT_EQ(arrived_at(peer), "");

    EXPECT_EQ(ours.flush(), 7u);
    EXPECT_EQ(ours.pending(), 0u);
    EXPECT_EQ(recv_all(peer, 7), "one two");
    EXPECT_EQ(ours.flush(), 0u);
  });
}

TEST_F(StreamWrite, sends_what_is_above_the_high_water_mark_in_order) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair(), {.high_water = 10});
    ours.write("12345");
    ours.write("67890");
    EXPECT_EQ(arrived_at(peer), "");
    EXPECT_EQ(ours.write("abc"), 3u);
    EXPECT_EQ(arrived_at(peer), "1234567890");
    EXPECT_EQ(ours.pending(), 3u);
    EXPECT_EQ(ours.write("defghijklmnopqrstuvwxyz"), 23u);

    EXPECT_EQ(arrived_at(peer), "abcdefghijklmnopqrstuvwxyz");
    EXPECT_EQ(ours.pending(), 0u);
  });
}

TEST_F(StreamWrite, sends_everything_at_once_where_the_mark_is_zero) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair(), {.high_water = 0});
    ours.write("now");

    EXPECT_EQ(arrived_at(peer), "now");
    EXPECT_EQ(ours.pending(), 0u);
  });
}

TEST_F(StreamWrite, writes_of_every_size_come_through_unchanged) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair());
    std::string all;
    auto receiver = spawn([fd = peer.release()] {
      net::socket from = net::socket::adopt(fd);
      std::error_code ec;
      return read_to_end(from, ec);
    });
    for (const std::size_t size : {1U, 100U, 16'283U, 1U, 16'384U, 16'385U, 5U, 300'000U, 40U}) {
      const std::string data = pattern(size, static_cast<unsigned>(size));
      EXPECT_EQ(ours.write(data), size);
      EXPECT_LE(ours.pending(), borrowed_bytes::capacity);
      all += data;
    }
    ours.shutdown();
    receiver.join();

    EXPECT_TRUE(receiver.result() == all);
  });
}

TEST_F(StreamWrite, holds_a_buffer_of_the_worker_only_while_bytes_are_pending) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair());
    auto [other, other_peer] = unix_pair();
    const auto buffer_of_the_worker = [&, &o = other, &p = other_peer] {
      send_all(p, "x");
      return o.read_some_borrowed().bytes().data();
    };
    const std::byte* const before = buffer_of_the_worker();
    ours.write("kept");
    EXPECT_NE(buffer_of_the_worker(), before);
    ours.flush();

    EXPECT_EQ(buffer_of_the_worker(), before);
  });
}

// ---- reading flushes -------------------------------------------------------------------------

TEST_F(StreamWrite, two_ends_that_answer_each_other_need_no_flush) {
  run([] {
    auto pair = weft_tcp_pair();
    stream client{std::move(pair.left)};
    auto server = spawn([connection = std::move(pair.right)]() mutable {
      stream peer{std::move(connection)};
      for (auto& line : peer.lines()) peer.write(line);
    });
    for (int i = 0; i < 100; ++i) {
      client.write(std::to_string(i) + "\n");
      EXPECT_EQ(client.read_line(), std::to_string(i) + "\n");
    }
    client.write("no newline");
    client.shutdown();
    EXPECT_EQ(client.read_line(), "no newline");
    EXPECT_EQ(client.read_line(), std::nullopt);
    server.join();
    server.result();
  });
}

TEST_F(StreamWrite, every_kind_of_read_flushes_before_it_waits) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair());
    std::array<std::byte, 1> buffer;
    for (int kind = 0; kind < 5; ++kind) {
      auto reader = spawn([&, &o = ours] {
        std::error_code ec;
        o.write("question");
        if (kind == 0) o.read_some(buffer, ec);
        if (kind == 1) o.read(buffer, ec);
        if (kind == 2) o.read_line(ec);
        if (kind == 3) o.read_until("x", ec);
        if (kind == 4) o.read_all(100, ec);
      });
      one_turn();
      EXPECT_EQ(arrived_at(peer), "question") << kind;
      reader.request_cancel();
      reader.join();
    }
  });
}

TEST_F(StreamWrite, a_read_from_the_buffer_flushes_nothing) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair());
    send_all(peer, "one\ntwo\n");
    ours.read_line();
    ours.write("answer");
    ours.read_line();

    EXPECT_EQ(arrived_at(peer), "");
    ours.flush();
  });
}

TEST_F(StreamWrite, the_answer_to_a_line_before_one_that_is_too_long_goes_out) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair(), {.max_line = 10});
    send_all(peer, "short\nmuch too long\n");
    EXPECT_EQ(code_thrown_by([&o = ours] {
                for (auto& line : o.lines()) o.write(line);
              }),
              std::errc::message_size);

    EXPECT_EQ(arrived_at(peer), "short\n");
  });
}

// So that a fiber that only reads goes on reading while another's flush waits for the peer.
TEST_F(StreamWrite, a_reader_does_not_flush_what_another_task_has_written) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair());
    auto reader = spawn([&o = ours] { return o.read_line(); });
    ours.write("not yet");
    one_turn();
    ASSERT_FALSE(reader.done());
    EXPECT_EQ(ours.pending(), 7u);
    ours.flush();
    fill(ours.socket().native_handle());
    ours.write("stuck");
    auto flusher = spawn([&o = ours] { o.flush(); });
    one_turn();
    send_all(peer, "line\n");
    reader.join();

    EXPECT_EQ(reader.result(), "line\n");
    EXPECT_FALSE(flusher.done());
    flusher.request_cancel();
    flusher.join();
  });
}

TEST_F(StreamWrite, a_reader_flushes_what_it_has_written_together_with_another) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair());
    auto reader = spawn([&o = ours] {
      o.write("mine ");
      this_fiber::yield();
      return o.read_line();
    });
    one_turn();
    ours.write("and yours");
    one_turn();

    EXPECT_EQ(arrived_at(peer), "mine and yours");
    reader.request_cancel();
    reader.join();
  });
}

// ---- writes that end early -------------------------------------------------------------------

TEST_F(StreamWrite, a_cancelled_flush_says_how_much_went_out_and_the_next_one_sends_the_rest) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair());
    const std::size_t before = fill(ours.socket().native_handle());
    const std::string data = pattern(borrowed_bytes::capacity);
    ours.write(data);
    const outcome result = cancel_while_parked([&o = ours](auto& ec) { return o.flush(ec); });
    EXPECT_EQ(result.ec, errc::cancelled);
    EXPECT_EQ(result.count + ours.pending(), data.size());
    recv_all(peer, before);
    ours.write("more");
    ours.shutdown();

    EXPECT_TRUE(recv_until_end(peer) == data + "more");
  });
}

TEST_F(StreamWrite, a_cancelled_write_says_how_much_went_out_and_keeps_nothing_of_the_rest) {
  for (const std::size_t size : {20'000U, 1'000'000U}) {
    run([&] {
      auto [ours, peer] = stream_over(unix_pair());
      const std::string first = pattern(5'000, 1);
      const std::string data = pattern(size, 2);
      std::size_t filled = fill(ours.socket().native_handle());
      if (size > filled) filled -= recv_all(peer, filled / 2).size();  // room for some of it
      ours.write(first);
      const outcome result =
          cancel_while_parked([&, &o = ours](auto& ec) { return o.write(data, ec); });
      EXPECT_EQ(result.ec, errc::cancelled);
      std::string got;
      auto receiver = spawn([&, fd = peer.release()] {
        net::socket from = net::socket::adopt(fd);
        read_text(from, filled);
        std::error_code ec;
        got = read_to_end(from, ec);
      });
      ours.write(std::string_view{data}.substr(result.count));
      ours.shutdown();
      receiver.join();

      EXPECT_TRUE(got == first + data) << result.count << " of " << data.size();
    });
  }
}

TEST_F(StreamWrite, a_cancelled_task_writes_and_flushes_nothing) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair());
    ours.write("before");
    {
      cancel_scope scope;
      scope.request_cancel();
      EXPECT_EQ(code_thrown_by([&o = ours] { o.write("x"); }), errc::cancelled);
      EXPECT_EQ(code_thrown_by([&o = ours] { o.flush(); }), errc::cancelled);
      EXPECT_EQ(code_thrown_by([&o = ours] { o.shutdown(); }), errc::cancelled);
    }
    EXPECT_EQ(arrived_at(peer), "");
    ours.flush();

    EXPECT_EQ(arrived_at(peer), "before");
  });
}

TEST_F(StreamWrite, a_close_by_another_fiber_ends_a_flush_that_waits) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair());
    fill(ours.socket().native_handle());
    ours.write("stuck");
    auto writer = spawn([&o = ours] {
      std::error_code ec;
      o.flush(ec);
      return ec;
    });
    one_turn();
    ours.close();
    writer.join();

    EXPECT_EQ(writer.result(), errc::closed);
    EXPECT_EQ(code_thrown_by([&o = ours] { o.write("x"); }), errc::closed);
    EXPECT_EQ(ours.pending(), 5u);
  });
}

TEST_F(StreamWrite, a_flush_that_fails_for_good_is_told_once_to_a_reader_and_always_to_a_writer) {
  run([] {
    auto [ours, peer] = stream_over(unix_pair());
    send_all(peer, "the last line\n");
    ::shutdown(peer.get(), SHUT_RD);
    ours.write("nobody reads this");

    EXPECT_EQ(code_thrown_by([&o = ours] { o.read_line(); }), std::errc::broken_pipe);
    EXPECT_EQ(ours.read_line(), "the last line\n");
    EXPECT_EQ(code_thrown_by([&o = ours] { o.write("x"); }), std::errc::broken_pipe);
    EXPECT_EQ(code_thrown_by([&o = ours] { o.flush(); }), std::errc::broken_pipe);
    EXPECT_EQ(code_thrown_by([&o = ours] { o.shutdown(); }), std::errc::broken_pipe);
    EXPECT_EQ(ours.pending(), 17u);
  });
}

// ---- the end ---------------------------------------------------------------------------------

TEST_F(StreamWrite, shutdown_sends_what_is_kept_and_leaves_the_other_direction_open) {
  run([] {
    auto [ours, peer] = stream_over(tcp_pair());
    ours.write("question");
    ours.shutdown();

    EXPECT_EQ(recv_until_end(peer), "question");
    send_all(peer, "answer\n");
    EXPECT_EQ(ours.read_line(), "answer\n");
  });
}

TEST_F(StreamWrite, a_stream_that_goes_with_bytes_not_flushed_says_so) {
  run([this] {
    auto [ours, peer] = stream_over(unix_pair());
    ours.write("never sent");
    ours = stream{unix_pair().ours};

    const auto lines = take_diagnostics();
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0], "a stream was destroyed before 10 bytes written to it were flushed; they "
                        "are lost");
    EXPECT_EQ(recv_until_end(peer), "");
  });
}

TEST_F(StreamWrite, a_stream_says_nothing_of_lost_bytes_whose_owner_knows_that_all_is_not_well) {
  run([] {
    {
      auto [flushed, flushed_peer] = stream_over(unix_pair());
      flushed.write("sent");
      flushed.flush();
      auto [closed, closed_peer] = stream_over(unix_pair());
      closed.write("dropped on purpose");
      closed.close();
    }
    auto [cancelled, cancelled_peer] = stream_over(unix_pair());
    cancelled.write("given up");
    {
      cancel_scope scope;
      scope.request_cancel();
      std::error_code ec;
      cancelled.flush(ec);
    }
    try {
      auto [unwound, unwound_peer] = stream_over(unix_pair());
      unwound.write("half an answer");
      throw std::runtime_error("no");
    } catch (const std::runtime_error&) {
    }
  });

  EXPECT_TRUE(take_diagnostics().empty());
}

TEST_F(StreamWrite, plain_threads_use_streams_as_fibers_do) {
  auto pair = weft_tcp_pair();
  std::thread server{[connection = std::move(pair.right)]() mutable {
    stream peer{std::move(connection)};
    for (auto& line : peer.lines()) peer.write(line);
  }};
  std::thread{[connection = std::move(pair.left)]() mutable {
    stream client{std::move(connection)};
    for (int i = 0; i < 100; ++i) {
      client.write(std::to_string(i) + "\n");
      EXPECT_EQ(client.read_line(), std::to_string(i) + "\n");
    }
  }}.join();
  server.join();
}

TEST_F(StreamWrite, writers_of_several_workers_do_not_tear_each_others_lines_apart) {
  constexpr unsigned workers = 3;
  run(
      [] {
        constexpr std::size_t count = 300;
        auto pair = weft_unix_pair();
        stream ours{std::move(pair.left)};
        std::vector<fiber<>> writers;
        for (unsigned i = 0; i < workers; ++i) {
          writers.push_back(spawn_on(i, [&, i] {
            const std::string line = std::string(500 + i, static_cast<char>('a' + i)) + "\n";
            for (std::size_t n = 0; n < count; ++n) ours.write(line);
            ours.flush();
          }));
        }
        stream peer{std::move(pair.right)};
        for (std::size_t n = 0; n < workers * count; ++n) {
          const std::string line = peer.read_line().value();
          EXPECT_EQ(line, std::string(line.size() - 1, line[0]) + "\n");
          EXPECT_EQ(line.size(), 501u + static_cast<std::size_t>(line[0] - 'a'));
        }
        for (auto& each : writers) each.join();
      },
      {.workers = workers});
}

}  // namespace
}  // namespace weft::test
