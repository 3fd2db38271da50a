// Texts that mean an endpoint: which are accepted, and what is said of the others.
#include <algorithm>
#include <cstdint>
#include <net/if.h>
#include <netinet/in.h>
#include <sstream>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <system_error>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/net/endpoint.hpp>

#include "endpoints.hpp"

namespace {

using weft::net::endpoint;
using weft::test::parse_exactly;
using weft::test::what_is_wrong;
using namespace std::string_literals;

std::uint32_t scope_of(const endpoint& v6) {
  return reinterpret_cast<const sockaddr_in6*>(v6.native())->sin6_scope_id;
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

}  // namespace
