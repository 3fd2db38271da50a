// What programs do that needs much stack fits into the default one: glibc's resolver, printf of
// large numbers, std::regex, a handshake of OpenSSL. How deep each goes is measured and printed.
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <limits>
#include <netdb.h>
#include <regex>
#include <string>
#include <sys/socket.h>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "support/runtime_fixture.hpp"
#include "tls_pair.hpp"

namespace {

using weft::spawn;
using weft::test::tls_pair;

constexpr std::size_t kib = 1024;

class StackUse : public weft::test::runtime_test {
protected:
  StackUse() { ::setenv("WEFT_DEBUG", "stacks", 1); }

  ~StackUse() override { ::unsetenv("WEFT_DEBUG"); }

  // Runs `function` on a fiber with the default stack, which it must leave a fifth of, or the
  // fixture finds a diagnostic.
  template <class Function>
  void measure(const char* name, Function&& function) {
    run([&] {
      spawn({.name = name}, [&] {
        function();
        const std::size_t used = weft::this_fiber::stack_high_water();
        EXPECT_GT(used, 0u);
        EXPECT_LT(used, weft::this_fiber::stack_size() * 4 / 5);
        std::printf("%s: %zu of %zu KiB\n", name, used / kib, weft::this_fiber::stack_size() / kib);
      }).join();
    });
  }
};

TEST_F(StackUse, of_getaddrinfo_fits) {
  measure("getaddrinfo", [] {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    ASSERT_EQ(::getaddrinfo("localhost", "http", &hints, &found), 0);
    EXPECT_NE(found, nullptr);
    ::freeaddrinfo(found);
  });
}

TEST_F(StackUse, of_printf_with_a_huge_long_double_fits) {
  measure("printf", [] {
    std::string text(8 * kib, '\0');
    const int size = std::snprintf(text.data(), text.size(), "%.1000Lf",
                                   std::numeric_limits<long double>::max());
    EXPECT_EQ(size, 4933 + 1 + 1000) << "digits, the point, and what was asked for";
  });
}

TEST_F(StackUse, of_a_regular_expression_on_a_moderately_long_text_fits) {
  // It goes down a call or more for each character that it matches in one go, 300 to 800 bytes.
  std::string text = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 40; ++i) text += "X-Header: " + std::string(100, 'v') + "\r\n";

  measure("regex", [&] {
    const std::regex header{"([A-Za-z-]+): ([^\r\n]*)\r\n"};
    const std::sregex_iterator first{text.begin(), text.end(), header};
    EXPECT_EQ(std::distance(first, {}), 40);
    EXPECT_TRUE(std::regex_match(text.substr(0, 16), std::regex{"(G|E|T)+ (.+) HTTP/1\\.1\\s*"}));
  });
}

TEST_F(StackUse, of_a_tls_handshake_fits) {
  measure("TLS", [] {
    tls_pair ends;
    ends.shake_hands();
    EXPECT_EQ(ends.send("hello"), "hello");
  });
}

// ---- builds that need more ---------------------------------------------------------------------

TEST_F(StackUse, of_instrumented_code_is_larger_and_so_are_stacks) {
  const std::size_t enlarged = weft::test::under_asan ? 4 : (weft::test::under_tsan ? 2 : 1);
  run([&] {
    spawn([&] { EXPECT_EQ(weft::this_fiber::stack_size(), 256 * kib * enlarged); }).join();
    spawn({.stack_size = 64 * kib}, [&] {
      EXPECT_EQ(weft::this_fiber::stack_size(), 64 * kib * enlarged);
    }).join();
  });
}

}  // namespace
