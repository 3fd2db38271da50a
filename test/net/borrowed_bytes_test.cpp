// Reading into memory of the library's: what is lent, how much, and for how long.
#include <cstddef>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "net_fixture.hpp"

namespace weft::test {
namespace {

using net::borrowed_bytes;

class BorrowedRead : public runtime_test {};

TEST_F(BorrowedRead, lends_what_is_there) {
  run([] {
    auto [ours, peer] = tcp_pair();
    send_all(peer, "hello");

    const borrowed_bytes data = ours.read_some_borrowed();

    EXPECT_TRUE(data);
    EXPECT_FALSE(data.empty());
    EXPECT_EQ(data.size(), 5u);
    EXPECT_EQ(data.text(), "hello");
    EXPECT_EQ(text_of(data), "hello");
  });
}

TEST_F(BorrowedRead, takes_at_most_what_was_asked_for) {
  run([] {
    auto [ours, peer] = tcp_pair();
    send_all(peer, "abcdef");
    std::error_code ec;

    EXPECT_EQ(ours.read_some_borrowed(2).text(), "ab");
    EXPECT_EQ(ours.read_some_borrowed(0, ec).text(), "");
    EXPECT_EQ(ec, std::error_code{});
    EXPECT_EQ(ours.read_some_borrowed(std::size_t{1} << 40, ec).text(), "cdef");
  });
}

TEST_F(BorrowedRead, never_lends_more_than_its_capacity) {
  run([] {
    auto [ours, peer] = unix_pair();
    const std::string data = pattern(3 * borrowed_bytes::capacity + 7);
    send_all(peer, data);
    std::string got;
    while (got.size() < data.size()) {
      const borrowed_bytes piece = ours.read_some_borrowed();
      EXPECT_LE(piece.size(), borrowed_bytes::capacity);
      got += piece.text();
    }

    EXPECT_TRUE(got == data);
  });
}

TEST_F(BorrowedRead, the_end_of_the_stream_is_an_empty_result_for_the_one_that_throws) {
  run([] {
    auto [ours, peer] = tcp_pair();
    send_all(peer, "all there is");
    peer.reset();
    std::string got;
    while (const auto data = ours.read_some_borrowed()) got += data.text();

    EXPECT_EQ(got, "all there is");
  });
}

TEST_F(BorrowedRead, the_end_of_the_stream_is_errc_eof_for_the_one_that_reports) {
  run([] {
    auto [ours, peer] = tcp_pair();
    peer.reset();
    std::error_code ec;

    EXPECT_FALSE(ours.read_some_borrowed(10, ec));
    EXPECT_EQ(ec, errc::eof);
  });
}

TEST_F(BorrowedRead, a_reset_is_thrown) {
  run([] {
    auto [ours, peer] = tcp_pair();
    reset_by(peer);

    EXPECT_EQ(code_thrown_by([&o = ours] {
                while (o.read_some_borrowed()) {
                }
              }),
              std::errc::connection_reset);
  });
}

TEST_F(BorrowedRead, a_lease_keeps_its_bytes_across_waits_and_other_reads) {
  run([] {
    auto [first, first_peer] = tcp_pair();
    auto [second, second_peer] = tcp_pair();
    send_all(first_peer, "kept");
    const borrowed_bytes kept = first.read_some_borrowed();
    auto sender = spawn([&peer = second_peer] { send_all(peer, "another"); });
    const borrowed_bytes other = second.read_some_borrowed();
    send_all(first_peer, "third");
    const borrowed_bytes third = first.read_some_borrowed();

    EXPECT_EQ(kept.text(), "kept");
    EXPECT_EQ(other.text(), "another");
    EXPECT_EQ(third.text(), "third");
  });
}

TEST_F(BorrowedRead, reads_one_after_the_other_share_one_buffer) {
  run([] {
    auto [first, first_peer] = tcp_pair();
    auto [second, second_peer] = tcp_pair();
    send_all(first_peer, "a");
    send_all(second_peer, "b");

    const std::byte* const one = first.read_some_borrowed().bytes().data();
    const std::byte* const two = second.read_some_borrowed().bytes().data();

    EXPECT_EQ(one, two);
  });
}

TEST_F(BorrowedRead, no_buffer_is_bound_while_a_reader_waits) {
  run([] {
    auto [waiting, waiting_peer] = tcp_pair();
    auto [other, other_peer] = tcp_pair();
    send_all(other_peer, "1");
    const std::byte* const before = other.read_some_borrowed().bytes().data();
    auto reader = spawn([&s = waiting] { return std::string(s.read_some_borrowed().text()); });
    one_turn();
    ASSERT_FALSE(reader.done());
    send_all(other_peer, "2");
    const borrowed_bytes after = other.read_some_borrowed();
    send_all(waiting_peer, "3");
    reader.join();

    EXPECT_EQ(after.bytes().data(), before);
    EXPECT_EQ(reader.result(), "3");
  });
}

TEST_F(BorrowedRead, a_lease_outlives_its_socket_and_its_runtime) {
  borrowed_bytes kept;
  run([&] {
    auto [ours, peer] = tcp_pair();
    send_all(peer, "survivor");
    kept = ours.read_some_borrowed();
  });

  EXPECT_EQ(kept.text(), "survivor");
}

TEST_F(BorrowedRead, a_lease_that_is_moved_leaves_nothing_behind_and_gives_back_what_it_replaces) {
  run([] {
    auto [ours, peer] = unix_pair();
    send_all(peer, "abc");
    borrowed_bytes first = ours.read_some_borrowed(1);
    borrowed_bytes second = ours.read_some_borrowed(1);
    const std::byte* const of_second = second.bytes().data();

    borrowed_bytes moved = std::move(first);
    EXPECT_TRUE(first.empty());
    EXPECT_EQ(moved.text(), "a");

    second = std::move(moved);
    EXPECT_EQ(second.text(), "a");
    EXPECT_EQ(ours.read_some_borrowed(1).bytes().data(), of_second);

    borrowed_bytes& itself = second;
    second = std::move(itself);
    EXPECT_EQ(second.text(), "a");
  });
}

TEST_F(BorrowedRead, a_hundred_leases_at_once_keep_their_bytes_apart) {
  run([] {
    auto [ours, peer] = unix_pair();
    const std::string data = pattern(100);
    send_all(peer, data);
    std::vector<borrowed_bytes> leases;
    for (int i = 0; i < 100; ++i) leases.push_back(ours.read_some_borrowed(1));
    std::string got;
    for (const auto& each : leases) got += each.text();

    EXPECT_EQ(got, data);
  });
}

}  // namespace
}  // namespace weft::test
