// What every kind of task may rely on when it uses sockets.
#include <array>
#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/net.hpp>

#include "conformance/awaited_sockets.hpp"
#include "conformance/modes.hpp"
#include "net/net_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using namespace weft::test;
using weft::net::endpoint;

// More than the buffers of a UNIX stream take.
constexpr std::size_t too_much = 4'000'000;

template <class Mode>
class Sockets : public conformance<Mode> {
protected:
  using socket = typename sockets_of<Mode>::socket;
  using listener = typename sockets_of<Mode>::listener;
  using datagram_socket = typename sockets_of<Mode>::datagram_socket;

  struct connected {
    explicit connected(socket_pair pair) noexcept
        : left(std::move(pair.left)), right(std::move(pair.right)) {}

    socket left;
    socket right;
  };

  static connected tcp_pair() { return connected{weft_tcp_pair()}; }

  static connected unix_pair() { return connected{weft_unix_pair()}; }
};

template <class Socket>
std::string some_text(Socket& from, std::size_t at_most, std::error_code& ec) {
  std::vector<std::byte> buffer(at_most);
  return text_of(std::span{buffer}.first(from.read_some(buffer, ec)));
}

template <class Socket>
std::string text(Socket& from, std::size_t size) {
  std::vector<std::byte> buffer(size);
  return text_of(std::span{buffer}.first(from.read(buffer)));
}

TYPED_TEST_SUITE(Sockets, modes, mode_names);

TYPED_TEST(Sockets, a_read_takes_what_is_there) {
  this->run([] {
    auto [left, right] = TestFixture::tcp_pair();

    right.write("there");

    EXPECT_EQ(text(left, 5), "there");
  });
}

TYPED_TEST(Sockets, a_read_waits_for_the_first_byte) {
  this->run([] {
    auto [left, right] = TestFixture::tcp_pair();
    std::string got;
    typename TestFixture::task reader{[&] { got = text(left, 4); }};
    reader.until_it_waits();
    EXPECT_FALSE(reader.ended());

    right.write("late");
    reader.join();

    EXPECT_EQ(got, "late");
  });
}

TYPED_TEST(Sockets, a_borrowed_read_waits_as_any_other) {
  this->run([] {
    auto [left, right] = TestFixture::unix_pair();
    std::string got;
    typename TestFixture::task reader{[&] { got = text_of(left.read_some_borrowed(100)); }};
    reader.until_it_waits();

    right.write("lent");
    reader.join();

    EXPECT_EQ(got, "lent");
  });
}

TYPED_TEST(Sockets, a_long_message_goes_there_and_back_whole) {
  this->run([] {
    auto [left, right] = TestFixture::tcp_pair();
    const std::string sent = pattern(too_much);
    typename TestFixture::task echo{[&right = right] {
      while (auto data = right.read_some_borrowed()) right.write(data);
    }};
    typename TestFixture::task writer{[&, &left = left] {
      left.write(sent);
      left.shutdown();
    }};

    EXPECT_EQ(text(left, sent.size()), sent);
    writer.join();
    echo.join();
  });
}

TYPED_TEST(Sockets, a_write_waits_for_room) {
  this->run([] {
    auto [left, right] = TestFixture::unix_pair();
    const std::string sent = pattern(too_much);
    typename TestFixture::task writer{[&, &left = left] { EXPECT_EQ(left.write(sent), too_much); }};
    writer.until_it_waits();
    EXPECT_FALSE(writer.ended());

    EXPECT_EQ(text(right, too_much), sent);
    writer.join();
  });
}

TYPED_TEST(Sockets, the_end_of_the_stream_ends_a_read) {
  this->run([] {
    auto [left, right] = TestFixture::tcp_pair();
    std::error_code ec;
    typename TestFixture::task reader{[&, &left = left] { some_text(left, 10, ec); }};
    reader.until_it_waits();

    right.close();
    reader.join();

    EXPECT_EQ(ec, weft::errc::eof);
  });
}

TYPED_TEST(Sockets, a_close_ends_the_read_under_way) {
  this->run([] {
    auto [left, right] = TestFixture::tcp_pair();
    std::error_code ec;
    typename TestFixture::task reader{[&, &left = left] { some_text(left, 10, ec); }};
    reader.until_it_waits();

    left.close();
    reader.join();

    EXPECT_EQ(ec, weft::errc::closed);
  });
}

TYPED_TEST(Sockets, a_close_ends_the_write_under_way) {
  this->run([] {
    auto [left, right] = TestFixture::unix_pair();
    std::error_code ec;
    typename TestFixture::task writer{
        [&, &left = left] { EXPECT_LT(left.write(pattern(too_much), ec), too_much); }};
    writer.until_it_waits();

    left.close();
    writer.join();

    EXPECT_EQ(ec, weft::errc::closed);
  });
}

TYPED_TEST(Sockets, a_cancelled_read_leaves_the_socket_usable) {
  this->run([] {
    auto [left, right] = TestFixture::tcp_pair();
    std::error_code ec;
    typename TestFixture::task reader{[&, &left = left] { some_text(left, 10, ec); }};
    reader.until_it_waits();

    reader.request_cancel();
    reader.join();

    EXPECT_EQ(ec, weft::errc::cancelled);
    right.write("after");
    EXPECT_EQ(text(left, 5), "after");
  });
}

TYPED_TEST(Sockets, a_cancelled_task_reads_nothing_that_is_there) {
  this->run([] {
    auto [left, right] = TestFixture::tcp_pair();
    right.write("kept");
    std::error_code ec;
    typename TestFixture::task reader{[&, &left = left] {
      weft::cancel_scope scope;
      scope.request_cancel();
      EXPECT_EQ(some_text(left, 10, ec), "");
    }};
    reader.join();

    EXPECT_EQ(ec, weft::errc::cancelled);
    EXPECT_EQ(text(left, 4), "kept");
  });
}

TYPED_TEST(Sockets, a_cancelled_write_says_how_much_went_out) {
  this->run([] {
    auto [left, right] = TestFixture::unix_pair();
    std::size_t written = 0;
    std::error_code ec;
    typename TestFixture::task writer{
        [&, &left = left] { written = left.write(pattern(too_much), ec); }};
    writer.until_it_waits();

    writer.request_cancel();
    writer.join();

    EXPECT_EQ(ec, weft::errc::cancelled);
    EXPECT_LT(written, too_much);
    EXPECT_EQ(text(right, written), pattern(too_much).substr(0, written));
  });
}

TYPED_TEST(Sockets, a_deadline_ends_a_read) {
  this->run([] {
    auto [left, right] = TestFixture::tcp_pair();
    std::error_code ec;
    const weft::timeout limit{2ms};

    some_text(left, 10, ec);

    EXPECT_EQ(ec, weft::errc::timed_out);
    EXPECT_TRUE(limit.expired());
  });
}

TYPED_TEST(Sockets, readers_are_served_in_the_order_in_which_they_came) {
  this->run([] {
    auto [left, right] = TestFixture::tcp_pair();
    std::string first, second;
    typename TestFixture::task one{[&, &left = left] { first = text(left, 3); }};
    one.until_it_waits();
    typename TestFixture::task two{[&, &left = left] { second = text(left, 3); }};
    two.until_it_waits();

    right.write("onetwo");
    one.join();
    two.join();

    EXPECT_EQ(first, "one");
    EXPECT_EQ(second, "two");
  });
}

TYPED_TEST(Sockets, an_accept_waits_for_a_connection) {
  this->run([] {
    typename TestFixture::listener server{endpoint::loopback_v4(0)};
    std::string greeting;
    typename TestFixture::task acceptor{[&] {
      typename TestFixture::socket accepted = server.accept();
      greeting = text(accepted, 5);
    }};
    acceptor.until_it_waits();

    typename TestFixture::socket client = TestFixture::socket::connect(server.local_endpoint());
    client.write("hello");
    acceptor.join();

    EXPECT_EQ(greeting, "hello");
  });
}

TYPED_TEST(Sockets, a_close_ends_an_accept) {
  this->run([] {
    typename TestFixture::listener server{endpoint::loopback_v4(0)};
    std::error_code ec;
    typename TestFixture::task acceptor{[&] { server.accept(ec); }};
    acceptor.until_it_waits();

    server.close();
    acceptor.join();

    EXPECT_EQ(ec, weft::errc::closed);
  });
}

TYPED_TEST(Sockets, a_cancelled_accept_leaves_the_listener_usable) {
  this->run([] {
    typename TestFixture::listener server{endpoint::loopback_v4(0)};
    std::error_code ec;
    typename TestFixture::task acceptor{[&] { server.accept(ec); }};
    acceptor.until_it_waits();

    acceptor.request_cancel();
    acceptor.join();

    EXPECT_EQ(ec, weft::errc::cancelled);
    const typename TestFixture::socket client =
        TestFixture::socket::connect(server.local_endpoint());
    EXPECT_TRUE(server.accept().is_open());
  });
}

TYPED_TEST(Sockets, a_refused_connect_says_so) {
  this->run([] {
    const endpoint nobody = [] {
      return weft::net::listener{endpoint::loopback_v4(0)}.local_endpoint();
    }();
    std::error_code ec;

    const typename TestFixture::socket client = TestFixture::socket::connect(nobody, ec);

    EXPECT_EQ(ec, std::errc::connection_refused);
    EXPECT_FALSE(client.is_open());
  });
}

TYPED_TEST(Sockets, a_datagram_is_waited_for_and_received_with_its_sender) {
  this->run([] {
    typename TestFixture::datagram_socket receiver{endpoint::loopback_v4(0)};
    typename TestFixture::datagram_socket sender{endpoint::loopback_v4(0)};
    std::string got;
    endpoint from;
    typename TestFixture::task reader{[&] {
      std::array<std::byte, 100> buffer;
      const std::size_t size = receiver.receive_from(buffer, from);
      got = text_of(std::span{buffer}.first(size));
    }};
    reader.until_it_waits();

    sender.send_to(bytes_of("news"), receiver.local_endpoint());
    reader.join();

    EXPECT_EQ(got, "news");
    EXPECT_EQ(from, sender.local_endpoint());
  });
}

TYPED_TEST(Sockets, a_cancelled_receive_leaves_the_datagram_to_the_next) {
  this->run([] {
    typename TestFixture::datagram_socket receiver{endpoint::loopback_v4(0)};
    typename TestFixture::datagram_socket sender{endpoint::loopback_v4(0)};
    std::array<std::byte, 100> buffer;
    std::error_code ec;
    typename TestFixture::task reader{[&] { receiver.receive(buffer, ec); }};
    reader.until_it_waits();

    reader.request_cancel();
    reader.join();

    EXPECT_EQ(ec, weft::errc::cancelled);
    sender.send_to(bytes_of("kept"), receiver.local_endpoint());
    EXPECT_EQ(receiver.receive(buffer), 4u);
  });
}

}  // namespace
