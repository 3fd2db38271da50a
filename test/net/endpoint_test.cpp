// An endpoint as a value: what it holds, its order, its hash, its text.
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <netinet/in.h>
#include <sstream>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <type_traits>
#include <unordered_set>
#include <vector>

#include <gtest/gtest.h>

#include <weft/net/endpoint.hpp>

#include "endpoints.hpp"

namespace {

using weft::net::endpoint;
using weft::test::path_offset;
using weft::test::unix_native;
using namespace std::string_literals;
using namespace std::string_view_literals;

TEST(Endpoint, is_unspecified_by_default) {
  const endpoint nothing;

  EXPECT_EQ(nothing.family(), AF_UNSPEC);
  EXPECT_FALSE(nothing.is_v4() || nothing.is_v6() || nothing.is_unix() || nothing.is_loopback());
  EXPECT_EQ(nothing.port(), 0);
  EXPECT_EQ(nothing.path(), "");
  EXPECT_EQ(nothing.to_string(), "unspecified");
  EXPECT_EQ(nothing.with_port(80), nothing);
  EXPECT_EQ(nothing, endpoint{});
}

TEST(Endpoint, is_a_small_value) {
  static_assert(std::is_trivially_copyable_v<endpoint>);
  EXPECT_LE(sizeof(endpoint), sizeof(sockaddr_storage));
}

TEST(Endpoint, holds_an_ipv4_address_and_its_port) {
  const endpoint value = endpoint::v4({192, 0, 2, 7}, 25'000);
  const auto& native = *reinterpret_cast<const sockaddr_in*>(value.native());

  EXPECT_TRUE(value.is_v4());
  EXPECT_EQ(value.family(), AF_INET);
  EXPECT_EQ(value.port(), 25'000);
  EXPECT_EQ(value.native_size(), sizeof(sockaddr_in));
  EXPECT_EQ(native.sin_family, AF_INET);
  EXPECT_EQ(ntohl(native.sin_addr.s_addr), 0xc0000207u);
  EXPECT_EQ(ntohs(native.sin_port), 25'000);
  EXPECT_EQ(value.to_string(), "192.0.2.7:25000");
}

TEST(Endpoint, holds_an_ipv6_address_its_port_and_its_scope) {
  const endpoint value =
      endpoint::v6({0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 80, 3);
  const auto& native = *reinterpret_cast<const sockaddr_in6*>(value.native());

  EXPECT_TRUE(value.is_v6());
  EXPECT_EQ(value.family(), AF_INET6);
  EXPECT_EQ(value.port(), 80);
  EXPECT_EQ(value.native_size(), sizeof(sockaddr_in6));
  EXPECT_EQ(native.sin6_family, AF_INET6);
  EXPECT_EQ(native.sin6_addr.s6_addr[15], 1);
  EXPECT_EQ(native.sin6_scope_id, 3u);
  EXPECT_EQ(value.to_string(), "[fe80::1%3]:80");
}

TEST(Endpoint, knows_the_loopback_and_the_any_addresses) {
  EXPECT_EQ(endpoint::loopback_v4(1).to_string(), "127.0.0.1:1");
  EXPECT_EQ(endpoint::loopback_v6(2).to_string(), "[::1]:2");
  EXPECT_EQ(endpoint::any_v4(3).to_string(), "0.0.0.0:3");
  EXPECT_EQ(endpoint::any_v6(4).to_string(), "[::]:4");

  for (const auto text : {"127.0.0.1:0", "127.255.0.9:0", "[::1]:0", "[::ffff:127.0.0.1]:0"}) {
    EXPECT_TRUE(endpoint::parse(text).is_loopback()) << text;
  }
  for (const auto text : {"0.0.0.0:0", "128.0.0.1:0", "[::]:0", "[::2]:0", "[7f00::]:0",
                          "[::ffff:10.0.0.1]:0", "unix:/x"}) {
    EXPECT_FALSE(endpoint::parse(text).is_loopback()) << text;
  }
}

TEST(Endpoint, takes_another_port_where_it_has_one) {
  EXPECT_EQ(endpoint::loopback_v4(1).with_port(65'535).to_string(), "127.0.0.1:65535");
  EXPECT_EQ(endpoint::parse("[fe80::1%7]:1").with_port(2).to_string(), "[fe80::1%7]:2");
  EXPECT_EQ(endpoint::parse("unix:/x").with_port(2).to_string(), "unix:/x");
}

TEST(Endpoint, holds_a_unix_path) {
  const endpoint value = endpoint::unix_domain("/run/x.sock");

  EXPECT_TRUE(value.is_unix());
  EXPECT_EQ(value.port(), 0);
  EXPECT_EQ(value.path(), "/run/x.sock");
  EXPECT_EQ(value.native_size(), path_offset + 12);  // the NUL is counted, man 7 unix
  EXPECT_STREQ(reinterpret_cast<const sockaddr_un*>(value.native())->sun_path, "/run/x.sock");
  EXPECT_EQ(value.to_string(), "unix:/run/x.sock");
}

TEST(Endpoint, holds_an_abstract_name) {
  const endpoint value = endpoint::unix_domain("@name");

  EXPECT_EQ(value.path(), "\0name"sv);
  EXPECT_EQ(value.native_size(), path_offset + 5);  // no NUL behind: the length is part of it
  EXPECT_EQ(value, endpoint::unix_domain("\0name"sv));
  EXPECT_EQ(value.to_string(), "unix:@name");
  EXPECT_NE(value, endpoint::unix_domain("\0name\0"sv));
}

TEST(Endpoint, holds_a_unix_socket_without_a_name) {
  const endpoint value = endpoint::unix_domain("");

  EXPECT_TRUE(value.is_unix());
  EXPECT_EQ(value.native_size(), sizeof(sa_family_t));
  EXPECT_EQ(value.path(), "");
  EXPECT_EQ(value.to_string(), "unix:");
  EXPECT_EQ(endpoint::parse("unix:"), value);
  EXPECT_NE(endpoint::parse("unix:@"), value);
}

TEST(Endpoint, fills_sun_path_to_its_last_byte_and_no_further) {
  const std::string longest(108, 'p');
  std::error_code ec;

  EXPECT_EQ(endpoint::unix_domain(longest).path(), longest);
  EXPECT_EQ(endpoint::unix_domain(longest).native_size(), sizeof(sockaddr_un));
  EXPECT_EQ(endpoint::unix_domain(longest.substr(1)).native_size(), sizeof(sockaddr_un));
  EXPECT_EQ(endpoint::unix_domain("@" + longest.substr(1)).path(), '\0' + longest.substr(1));

  for (const std::string& name : {longest + "p", "@" + longest, "\0"s + longest}) {
    const endpoint value = endpoint::unix_domain(name, ec);
    EXPECT_EQ(ec, std::errc::filename_too_long);
    EXPECT_EQ(value, endpoint{});
    EXPECT_THROW(endpoint::unix_domain(name), std::system_error);
  }
}

TEST(Endpoint, refuses_a_nul_within_a_unix_path) {
  std::error_code ec;
  endpoint::unix_domain("/a\0b"sv, ec);
  EXPECT_EQ(ec, std::errc::invalid_argument);
  endpoint::unix_domain("@a\0b"sv, ec);
  EXPECT_EQ(ec, std::errc::invalid_argument);
  endpoint::unix_domain("\0a\0b"sv, ec);
  EXPECT_FALSE(ec) << "the kernel's own form takes any byte";
}

TEST(Endpoint, orders_by_family_then_address_then_port) {
  const std::vector<endpoint> ordered{
      endpoint{},
      unix_native(""),
      unix_native("\0"sv),
      unix_native("\0a"sv),
      unix_native("\0a\0"sv),
      endpoint::parse("unix:/a"),
      endpoint::parse("unix:/a/b"),
      endpoint::parse("unix:/b"),
      endpoint::parse("1.2.3.4:80"),
      endpoint::parse("1.2.3.4:443"),
      endpoint::parse("1.2.4.0:0"),
      endpoint::parse("200.0.0.0:0"),
      endpoint::parse("[::1]:9"),
      endpoint::parse("[::2]:0"),
      endpoint::parse("[::2%1]:0"),
      endpoint::parse("[::2%1]:256"),
      endpoint::parse("[::2%256]:1"),
  };
  for (std::size_t i = 0; i < ordered.size(); ++i) {
    for (std::size_t j = 0; j < ordered.size(); ++j) {
      EXPECT_EQ(ordered[i] <=> ordered[j], i <=> j) << ordered[i] << " and " << ordered[j];
      EXPECT_EQ(ordered[i] == ordered[j], i == j) << ordered[i] << " and " << ordered[j];
    }
  }
}

TEST(Endpoint, may_be_the_key_of_a_hash_table) {
  std::unordered_set<endpoint> set;
  for (int port = 0; port <= 65'535; ++port) {
    set.insert(endpoint::loopback_v4(static_cast<std::uint16_t>(port)));
  }
  EXPECT_EQ(set.size(), 65'536u);
  EXPECT_EQ(set.count(endpoint::parse("127.0.0.1:4711")), 1u);
  EXPECT_EQ(std::hash<endpoint>{}(endpoint::unix_domain("@a")),
            std::hash<endpoint>{}(endpoint::parse("unix:@a")));
}

TEST(Endpoint, prints_to_a_stream) {
  std::ostringstream out;
  out << endpoint::loopback_v6(80) << ' ' << endpoint::unix_domain("@a");
  EXPECT_EQ(out.str(), "[::1]:80 unix:@a");
}

}  // namespace
