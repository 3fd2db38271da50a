// Endpoints made of the kernel's addresses, of any bytes and of real sockets.
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

#include <gtest/gtest.h>

#include <weft/net/endpoint.hpp>

#include "support/scratch_folder.hpp"

namespace {

using weft::net::endpoint;
using namespace std::string_literals;

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
  const weft::test::scratch_folder folder;
  const std::string prefix = folder.path("");
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

}  // namespace
