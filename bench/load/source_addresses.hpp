// Which local addresses the connections come from.
//
// One source address has about 28,000 ports for one target, and a port that closed first is held
// by TIME_WAIT for a minute. In 127.0.0.0/8 every address is local, so many of them are used in
// turn: when the connections are many, when they come and go, and when there are several client
// processes. Other targets leave the choice to the kernel.
//
// Threads: one owner, the loop of a client process.
#pragma once

#include <cstdint>
#include <netinet/in.h>
#include <optional>

#include "options.hpp"

namespace weft::load {

class source_addresses {
public:
  /// Prepares the addresses of client process `client`, none of which another one uses.
  source_addresses(const options& settings, unsigned client);

  /// Returns the address to bind the next connection to; nothing when the kernel is to choose.
  std::optional<in_addr> next() noexcept;

private:
  bool spread_ = false;
  std::uint32_t step_ = 1;
  std::uint32_t next_ = 0;
};

/// Returns how many connections at once can be made from one source address to one target, by
/// net.ipv4.ip_local_port_range.
std::uint64_t ports_of_one_address();

}  // namespace weft::load
