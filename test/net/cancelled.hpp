// Operations that are cancelled, for tests of what they came to.
#pragma once

#include <cstddef>
#include <system_error>

#include "net_fixture.hpp"

namespace weft::test {

/// What an operation came to: how many bytes, and the error.
struct outcome {
  std::size_t count = 0;
  std::error_code ec;
};

/// Runs `operation` in a fiber that is cancelled once that has parked.
template <class Operation>
outcome cancel_while_parked(Operation&& operation) {
  auto victim = spawn([&] {
    outcome result;
    result.count = operation(result.ec);
    return result;
  });
  one_turn();
  EXPECT_FALSE(victim.done());
  victim.request_cancel();
  one_turn();
  EXPECT_TRUE(victim.done()) << "a cancelled wait ends within a turn";
  victim.join();
  return victim.result();
}

}  // namespace weft::test
