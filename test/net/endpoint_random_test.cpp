// Endpoints and texts at random: what is printed is read back, and nothing is half accepted.
#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include <weft/net/endpoint.hpp>

#include "endpoints.hpp"
#include "support/seed.hpp"

namespace {

using weft::net::endpoint;
using weft::test::parse_exactly;
using weft::test::unix_native;
using weft::test::what_is_wrong;
using namespace std::string_view_literals;

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

  std::mt19937_64 random{weft::test::fresh_seed()};
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
