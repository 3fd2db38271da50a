// A stream and its peer, for tests of both directions.
#pragma once

#include <utility>

#include "net_fixture.hpp"

namespace weft::test {

/// A stream, and the plain blocking descriptor at the other end.
struct stream_pair {
  net::stream ours;
  unique_fd peer;
};

inline stream_pair stream_over(plain_pair pair, const net::stream_options& options = {}) {
  return {net::stream{std::move(pair.ours), options}, std::move(pair.peer)};
}

}  // namespace weft::test
