#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <net/if.h>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <system_error>
#include <type_traits>
#include <unistd.h>
#include <unordered_set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/net/endpoint.hpp>

namespace {

using weft::net::endpoint;
using namespace std::string_literals;
using namespace std::string_view_literals;

constexpr std::size_t path_offset = offsetof(sockaddr_un, sun_path);

std::uint32_t scope_of(const endpoint& v6) {
  return reinterpret_cast<const sockaddr_in6*>(v6.native())->sin6_scope_id;
}

/// Makes an endpoint of the bytes that a kernel could have put into sun_path.
endpoint unix_native(std::string_view bytes) {
  std::vector<char> native(path_offset + bytes.size());
  const sa_family_t family = AF_UNIX;
  std::memcpy(native.data(), &family, sizeof family);
  std::copy(bytes.begin(), bytes.end(), native.data() + path_offset);
  return endpoint::from_native(reinterpret_cast<const sockaddr*>(native.data()),
                               static_cast<socklen_t>(native.size()));
}

/// Parses from memory that ends with the text, so that a sanitizer sees any read behind it.
endpoint parse_exactly(std::string_view text, std::error_code& ec) {
  const std::vector<char> copy(text.begin(), text.end());
  return endpoint::parse({copy.data(), copy.size()}, ec);
}

std::string what_is_wrong(std::string_view text) {
  try {
    endpoint::parse(text);
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::invalid_argument);
    return error.what();
  }
  return "nothing";
}

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

TEST(EndpointParse, reads_what_it_prints_for_every_form) {
  for (const auto text : {"127.0.0.1:25000",
                          "0.0.0.0:0",
                          "255.255.255.255:65535",
                          "[::1]:80",
                          "[::]:0",
                          "[2001:db8::1:0:0:1]:443",
                          "[2001:db8:0:1:1:1:1:1]:443",
                          "[fe80::1%12]:80",
                          "[fe80::1%4294967295]:80",
                          "[::ffff:192.0.2.1]:9",
                          "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                          "unix:/path",
                          "unix:relative",
                          "unix:/with space:and:colons",
                          "unix:@abstract",
                          "unix:",
                          "unix:@",
                          "unix:@a\\0b\\\\c\\0",
                          "unix:\\@file",
                          "unix:\\\\file",
                          "unix:/a\\b"}) {
    EXPECT_EQ(endpoint::parse(text).to_string(), text);
  }
}

TEST(EndpointParse, prints_ipv6_in_the_canonical_form) {
  EXPECT_EQ(endpoint::parse("[2001:DB8:0:0:0:0:0:1]:80").to_string(), "[2001:db8::1]:80");
  EXPECT_EQ(endpoint::parse("[0:0:0:0:0:0:0:1%0]:80").to_string(), "[::1]:80");
  EXPECT_EQ(endpoint::parse("[::ffff:c000:201]:80").to_string(), "[::ffff:192.0.2.1]:80");
}

TEST(EndpointParse, takes_a_scope_by_the_name_of_the_interface) {
  const unsigned index = if_nametoindex("lo");
  if (index == 0) GTEST_SKIP() << "this machine has no interface lo";

  const endpoint value = endpoint::parse("[fe80::1%lo]:80");

  EXPECT_EQ(scope_of(value), index);
  EXPECT_EQ(value, endpoint::parse("[fe80::1%" + std::to_string(index) + "]:80"));
  EXPECT_EQ(endpoint::parse(value.to_string()), value);
}

TEST(EndpointParse, passes_on_the_error_of_a_look_up_that_fails) {
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;  // the look-up needs a descriptor

  std::error_code ec;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  endpoint::parse("[fe80::1%lo]:80", ec);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);

  EXPECT_EQ(ec, std::errc::too_many_files_open);
}

TEST(EndpointParse, takes_a_unix_path_that_fills_sun_path) {
  const std::string path(108, 'p');
  EXPECT_EQ(endpoint::parse("unix:" + path).path(), path);
  EXPECT_EQ(endpoint::parse("unix:@" + path.substr(1)).path(), '\0' + path.substr(1));
  EXPECT_EQ(endpoint::parse("unix:\\" + path).path(), path);
}

TEST(EndpointParse, refuses_everything_else) {
  const std::string too_long(109, 'p');
  for (const std::string& text : {""s,
                                  " "s,
                                  ":"s,
                                  "127.0.0.1"s,
                                  "127.0.0.1:"s,
                                  ":80"s,
                                  "80"s,
                                  "127.0.0.1:65536"s,
                                  "127.0.0.1:4294967376"s,
                                  "127.0.0.1:99999999999999999999"s,
                                  "127.0.0.1:+80"s,
                                  "127.0.0.1:-1"s,
                                  "127.0.0.1: 80"s,
                                  "127.0.0.1:80 "s,
                                  " 127.0.0.1:80"s,
                                  "127.0.0.1:0x50"s,
                                  "127.0.0.1:080"s,
                                  "127.0.0.1:00"s,
                                  "127.0.0.1:80\n"s,
                                  "127.0.0.1:80:90"s,
                                  "127.0.0.1 :80"s,
                                  "127.0.0.1:8a"s,
                                  "127.0.0.1:http"s,
                                  "127.1:80"s,
                                  "127.0.0.256:80"s,
                                  "127.0.0.01:80"s,
                                  "127.0.0.1.1:80"s,
                                  "2130706433:80"s,
                                  "0x7f.0.0.1:80"s,
                                  "*:80"s,
                                  "localhost:80"s,
                                  "tcp://127.0.0.1:80"s,
                                  "127.0.0.1\0:80"s,
                                  "127.0.0.1:80\0"s,
                                  "\0"s,
                                  "::1:80"s,
                                  "::1"s,
                                  "[::1]"s,
                                  "[::1]:"s,
                                  "[::1:80"s,
                                  "[::1]80"s,
                                  "[::1] :80"s,
                                  "[]:80"s,
                                  "[:::1]:80"s,
                                  "[::1]:65536"s,
                                  "[::1]]:80"s,
                                  "[[::1]]:80"s,
                                  "[127.0.0.1]:80"s,
                                  "[localhost]:80"s,
                                  "[12345::]:80"s,
                                  "[1:2:3:4:5:6:7:8:9]:80"s,
                                  "[::1%]:80"s,
                                  "[fe80::1%]:80"s,
                                  "[fe80::1%4294967296]:80"s,
                                  "[fe80::1%01]:80"s,
                                  "[fe80::1%no such interface]:80"s,
                                  "[fe80::1%nosuchinterfaceisthere]:80"s,
                                  "[%lo]:80"s,
                                  "[fe80::1%lo:1]:80"s,
                                  "[fe80::1%lo%lo]:80"s,
                                  "["s,
                                  "]"s,
                                  "[:80"s,
                                  "UNIX:/path"s,
                                  "unix"s,
                                  "/run/x.sock"s,
                                  "@name"s,
                                  "unix:/a\0b"s,
                                  "unix:@a\0b"s,
                                  "unix:\\"s,
                                  "unix:@a\\"s,
                                  "unix:@a\\x"s,
                                  "unix:" + too_long,
                                  "unix:@" + too_long,
                                  "unix:\\" + too_long}) {
    std::error_code ec;
    const endpoint value = parse_exactly(text, ec);
    EXPECT_EQ(ec, std::errc::invalid_argument) << text;
    EXPECT_EQ(value, endpoint{}) << text;
    EXPECT_THROW(endpoint::parse(text), std::system_error) << text;
  }
}

TEST(EndpointParse, clears_the_error_code_on_success) {
  std::error_code ec = std::make_error_code(std::errc::io_error);
  endpoint::parse("127.0.0.1:80", ec);
  EXPECT_FALSE(ec);
}

TEST(EndpointParse, names_the_text_what_is_wrong_and_what_is_accepted) {
  const std::string accepted =
      "; accepted are 127.0.0.1:80, [::1]:80, [fe80::1%eth0]:80, unix:/path and unix:@name";
  const std::vector<std::pair<std::string_view, std::string>> cases{
      {"*:80", "* is not accepted, every address is 0.0.0.0 or [::]"},
      {"localhost:80", "its host is not an address, and names are not looked up here"},
      {"127.0.0.256:80", "its host is not an IPv4 address of four decimal numbers"},
      {"127.0.0.1", "the port is missing"},
      {"127.0.0.1:x", "the port is not a decimal number from 0 to 65535"},
      {"::1:80", "an IPv6 address stands in brackets"},
      {"[::1:80", "the closing bracket is missing"},
      {"[fe80::1%nosuch]:80", "there is no interface of that name"},
      {"/run/x.sock", "a UNIX domain name stands behind unix:"},
  };
  for (const auto& [text, wrong] : cases) {
    std::ostringstream expected;
    expected << "not an endpoint: \"" << text << "\": " << wrong << accepted
             << ": Invalid argument";
    EXPECT_EQ(what_is_wrong(text), expected.str());
  }
  EXPECT_NE(what_is_wrong("unix:" + std::string(109, 'p')).find("108 bytes"), std::string::npos);
}

TEST(EndpointParse, keeps_its_complaint_to_one_printable_line_of_bounded_length) {
  const std::string what = what_is_wrong("a\nb\r\x1b[31m\0\x7f"s + std::string(100'000, 'x'));

  EXPECT_LT(what.size(), 500u);
  EXPECT_NE(what.find("a\\x0ab\\x0d\\x1b[31m\\x00\\x7f"), std::string::npos) << what;
  EXPECT_TRUE(std::none_of(what.begin(), what.end(), [](char c) { return c < ' '; })) << what;
}

TEST(EndpointNative, refuses_sizes_that_do_not_fit_the_family) {
  std::error_code ec;
  const endpoint v4 = endpoint::loopback_v4(1);
  const endpoint v6 = endpoint::loopback_v6(1);
  sockaddr_storage abstract{};
  abstract.ss_family = AF_UNIX;

  endpoint::from_native(v4.native(), 1, ec);
  EXPECT_EQ(ec, std::errc::invalid_argument);
  endpoint::from_native(v4.native(), v4.native_size() - 1, ec);
  EXPECT_EQ(ec, std::errc::invalid_argument);
  endpoint::from_native(v6.native(), v6.native_size() - 1, ec);
  EXPECT_EQ(ec, std::errc::invalid_argument);
  endpoint::from_native(nullptr, 16, ec);
  EXPECT_EQ(ec, std::errc::invalid_argument);
  endpoint::from_native(reinterpret_cast<const sockaddr*>(&abstract), sizeof abstract, ec);
  EXPECT_EQ(ec, std::errc::invalid_argument);
  EXPECT_THROW(endpoint::from_native(v4.native(), 1), std::system_error);
}

TEST(EndpointNative, refuses_other_families) {
  std::error_code ec;
  sockaddr_storage other{};
  other.ss_family = AF_PACKET;

  EXPECT_EQ(endpoint::from_native(reinterpret_cast<sockaddr*>(&other), sizeof other, ec),
            endpoint{});

  EXPECT_EQ(ec, std::errc::address_family_not_supported);
}

TEST(EndpointNative, takes_no_address_at_all_as_unspecified) {
  std::error_code ec = std::make_error_code(std::errc::io_error);
  EXPECT_EQ(endpoint::from_native(nullptr, 0, ec), endpoint{});
  EXPECT_FALSE(ec);
  EXPECT_EQ(endpoint::from_native(endpoint{}.native(), endpoint{}.native_size()), endpoint{});
}

TEST(EndpointNative, ignores_what_is_no_part_of_an_address) {
  sockaddr_storage noise;
  std::memset(&noise, 0xab, sizeof noise);
  auto& v4 = reinterpret_cast<sockaddr_in&>(noise);
  v4.sin_family = AF_INET;
  v4.sin_port = htons(80);
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(endpoint::from_native(reinterpret_cast<sockaddr*>(&noise), sizeof noise),
            endpoint::loopback_v4(80));

  std::memset(&noise, 0xab, sizeof noise);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(noise);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(80);
  v6.sin6_addr = in6addr_loopback;
  v6.sin6_scope_id = 0;
  EXPECT_EQ(endpoint::from_native(reinterpret_cast<sockaddr*>(&noise), sizeof noise),
            endpoint::loopback_v6(80));

  std::memset(&noise, 0xab, sizeof noise);
  auto& local = reinterpret_cast<sockaddr_un&>(noise);
  local.sun_family = AF_UNIX;
  std::strcpy(local.sun_path, "/x");
  EXPECT_EQ(endpoint::from_native(reinterpret_cast<sockaddr*>(&noise), sizeof noise),
            endpoint::unix_domain("/x"));
}

TEST(EndpointNative, reads_from_any_alignment) {
  for (const auto text : {"127.0.0.1:80", "[fe80::1%3]:80", "unix:/path", "unix:@name", "unix:"}) {
    const endpoint value = endpoint::parse(text);
    std::array<char, sizeof(sockaddr_storage) + 8> memory{};
    for (std::size_t shift = 0; shift < 8; ++shift) {
      std::memcpy(memory.data() + shift, value.native(), value.native_size());
      EXPECT_EQ(endpoint::from_native(reinterpret_cast<const sockaddr*>(memory.data() + shift),
                                      value.native_size()),
                value);
    }
  }
}

/// A descriptor that is closed at the end of the test.
struct descriptor {
  explicit descriptor(int opened) : fd(opened) {}

  ~descriptor() {
    if (fd >= 0) ::close(fd);
  }

  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;

  endpoint local() const {
    sockaddr_storage address;
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
    return endpoint::from_native(reinterpret_cast<sockaddr*>(&address), size);
  }

  const int fd;
};

/// A directory that is removed at the end of the test, with what lies in it.
struct temporary_directory {
  temporary_directory() {
    if (::mkdtemp(path.data()) == nullptr) ADD_FAILURE() << "mkdtemp: " << std::strerror(errno);
  }

  ~temporary_directory() {
    std::error_code ignored;  // nothing is left to do about it
    std::filesystem::remove_all(path, ignored);
  }

  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;

  std::string path = "/tmp/weft-endpoint-XXXXXX";
};

TEST(EndpointSocket, binds_a_real_socket_and_reads_its_address_back) {
  for (const endpoint& wanted : {endpoint::loopback_v4(0), endpoint::loopback_v6(0)}) {
    const descriptor socket{::socket(wanted.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (socket.fd < 0 || ::bind(socket.fd, wanted.native(), wanted.native_size()) != 0) {
      ASSERT_TRUE(wanted.is_v6()) << "every machine has 127.0.0.1";
      continue;  // IPv6 may be switched off
    }
    const endpoint bound = socket.local();
    EXPECT_NE(bound.port(), 0);
    EXPECT_EQ(bound.with_port(0), wanted);
  }
}

TEST(EndpointSocket, reads_back_what_the_kernel_says_of_unix_sockets) {
  const temporary_directory directory;
  const std::string prefix = directory.path + "/";
  const std::string filling = prefix + std::string(108 - prefix.size(), 'p');
  const std::string unique = std::to_string(::getpid());

  for (const std::string& name :
       {prefix + "s", filling, "@weft-endpoint-" + unique, "\0weft\0endpoint"s + unique + "\0"s}) {
    const endpoint wanted = endpoint::unix_domain(name);
    const descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    ASSERT_EQ(::bind(socket.fd, wanted.native(), wanted.native_size()), 0) << std::strerror(errno);
    EXPECT_EQ(socket.local(), wanted);
    EXPECT_EQ(endpoint::parse(wanted.to_string()), wanted);
  }
  const descriptor unnamed{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  EXPECT_EQ(unnamed.local(), endpoint::unix_domain(""));
  ASSERT_EQ(::bind(unnamed.fd, endpoint::unix_domain("").native(), sizeof(sa_family_t)), 0);
  EXPECT_EQ(unnamed.local().path().size(), 6u) << "the kernel names it, man 7 unix";
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

// Random input, each time another; WEFT_TEST_SEED repeats a run that failed.
class EndpointRandom : public testing::Test {
protected:
  std::uint64_t pick(std::uint64_t bound) {
    return std::uniform_int_distribution<std::uint64_t>(0, bound - 1)(random);
  }

  std::string bytes(std::size_t size) {
    std::string all(size, '\0');
    for (char& c : all) c = static_cast<char>(pick(256));
    return all;
  }

  std::string name(std::size_t most) {
    std::string all(pick(most + 1), '\0');
    const std::string_view usual = "\0\0@@\\\\0:/[]% ab"sv;
    for (char& c : all) c = pick(4) == 0 ? static_cast<char>(pick(256)) : usual[pick(usual.size())];
    return all;
  }

  endpoint any() {
    std::array<std::uint8_t, 16> address{};
    for (auto& byte : address) byte = static_cast<std::uint8_t>(pick(3) == 0 ? pick(256) : 0);
    const auto port = static_cast<std::uint16_t>(pick(65'536));
    switch (pick(3)) {
    case 0: return endpoint::v4({address[0], address[1], address[2], address[3]}, port);
    case 1:
      return endpoint::v6(address, port, pick(2) == 0 ? 0 : static_cast<std::uint32_t>(random()));
    default: return unix_native(name(108));
    }
  }

  // What a typing error does to a text.
  void spoil(std::string& text) {
    const std::string_view usual = "0123456789abcdef.:[]%@*\\/ \0unix"sv;
    for (std::uint64_t count = pick(4); count-- > 0;) {
      const std::size_t place = pick(text.size() + 1);
      switch (pick(4)) {
      case 0: text.insert(place, 1, usual[pick(usual.size())]); break;
      case 1: text.erase(place, 1 + pick(3)); break;
      case 2: text.insert(place, bytes(pick(3))); break;
      default: text += text.substr(place); break;
      }
    }
  }

  static std::uint64_t seed() {
    const char* const wanted = std::getenv("WEFT_TEST_SEED");
    const std::uint64_t seed = wanted ? std::strtoull(wanted, nullptr, 10) : std::random_device{}();
    std::cout << "seed " << seed << " (WEFT_TEST_SEED)\n";
    return seed;
  }

  std::mt19937_64 random{seed()};
};

TEST_F(EndpointRandom, every_endpoint_is_read_back_from_what_it_prints) {
  for (int round = 0; round < 20'000; ++round) {
    const endpoint value = any();
    const std::string text = value.to_string();
    std::error_code ec;

    const endpoint again = parse_exactly(text, ec);

    ASSERT_FALSE(ec) << text;
    ASSERT_EQ(again, value) << text;
    ASSERT_EQ(text.find('\0'), std::string::npos) << text;
    ASSERT_EQ(endpoint::from_native(value.native(), value.native_size()), value) << text;
    ASSERT_EQ(std::hash<endpoint>{}(again), std::hash<endpoint>{}(value)) << text;
    ASSERT_EQ(again <=> value, std::strong_ordering::equal) << text;
  }
}

TEST_F(EndpointRandom, every_text_is_refused_or_means_one_endpoint) {
  std::size_t accepted = 0;
  for (int round = 0; round < 50'000; ++round) {
    std::string text = pick(8) == 0 ? name(160) : any().to_string();
    spoil(text);
    std::error_code ec;

    const endpoint value = parse_exactly(text, ec);

    if (!ec) {
      ++accepted;
      ASSERT_EQ(endpoint::parse(text), value) << text;
      ASSERT_EQ(endpoint::parse(value.to_string()), value) << text;
      continue;
    }
    ASSERT_EQ(ec, std::errc::invalid_argument) << text;
    ASSERT_EQ(value, endpoint{}) << text;
    ASSERT_NE(what_is_wrong(text), "nothing") << text;
  }
  EXPECT_GT(accepted, 1'000u) << "or the test tries nothing but rubbish";
}

TEST_F(EndpointRandom, every_native_address_is_refused_or_has_a_text) {
  constexpr std::array<sa_family_t, 5> families{AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX, AF_PACKET};
  for (int round = 0; round < 50'000; ++round) {
    std::string native = pick(2) == 0 ? bytes(pick(129)) : std::string(pick(129), '\0');
    const sa_family_t family = families[pick(families.size())];
    if (native.size() >= sizeof family) std::memcpy(native.data(), &family, sizeof family);
    const std::vector<char> exact(native.begin(), native.end());
    std::error_code ec;

    const endpoint value = endpoint::from_native(reinterpret_cast<const sockaddr*>(exact.data()),
                                                 static_cast<socklen_t>(exact.size()), ec);

    if (ec || value == endpoint{}) continue;
    ASSERT_EQ(endpoint::parse(value.to_string()), value) << value;
    ASSERT_EQ(value.family(), family);
  }
}

TEST_F(EndpointRandom, order_and_equality_agree) {
  std::vector<endpoint> some;
  for (int i = 0; i < 200; ++i) some.push_back(any());
  std::sort(some.begin(), some.end());
  for (std::size_t i = 0; i < some.size(); ++i) {
    for (std::size_t j = i; j < some.size(); ++j) {
      ASSERT_LE(some[i], some[j]);
      ASSERT_EQ(some[i] == some[j], std::is_eq(some[i] <=> some[j]));
    }
  }
}

}  // namespace
