// What the tests of endpoints share: addresses as the kernel makes them, and texts that are parsed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include <weft/net/endpoint.hpp>

namespace weft::test {

/// Where the name of a UNIX socket begins in its address.
inline constexpr std::size_t path_offset = offsetof(sockaddr_un, sun_path);

/// Makes an endpoint of the bytes that a kernel could have put into sun_path.
inline net::endpoint unix_native(std::string_view bytes) {
  std::vector<char> native(path_offset + bytes.size());
  const sa_family_t family = AF_UNIX;
  std::memcpy(native.data(), &family, sizeof family);
  std::copy(bytes.begin(), bytes.end(), native.data() + path_offset);
  return net::endpoint::from_native(reinterpret_cast<const sockaddr*>(native.data()),
                                    static_cast<socklen_t>(native.size()));
}

/// Parses from memory that ends with the text, so that a sanitizer sees any read behind it.
inline net::endpoint parse_exactly(std::string_view text, std::error_code& ec) {
  const std::vector<char> copy(text.begin(), text.end());
  return net::endpoint::parse({copy.data(), copy.size()}, ec);
}

/// Returns what the exception says that parsing the text throws.
inline std::string what_is_wrong(std::string_view text) {
  try {
    net::endpoint::parse(text);
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::invalid_argument);
    return error.what();
  }
  return "nothing";
}

}  // namespace weft::test
