// The bytes that go out, and the check of those that come back.
//
// A connection's stream is one fixed block of random bytes repeated for ever, begun at a place of
// its own. So a byte depends on the connection and on its offset: swapped connections and lost,
// doubled or shifted bytes do not match. Any piece of a stream lies contiguous in memory, so
// sending needs no copy and checking is one memcmp.
//
// Threads: immutable once made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace weft::load {

class pattern {
public:
  /// The longest piece that send or receive may handle at once.
  static constexpr std::size_t piece = std::size_t{256} * 1024;

  pattern();

  /// Returns where the stream number `stream` begins in the block; streams less than `period`
  /// apart begin at different places.
  static std::uint32_t first_phase(std::uint64_t stream) noexcept {
    // Steps of about 0.62 periods keep neighbours far apart, so that connections which swap their
    // bytes while some messages apart do not look alike either.
    return static_cast<std::uint32_t>((stream % period) * 40503 % period);
  }

  /// Returns the phase `size` bytes behind `phase`.
  static std::uint32_t advance(std::uint32_t phase, std::size_t size) noexcept {
    return static_cast<std::uint32_t>((phase + size) % period);
  }

  /// Returns the stream's bytes from `phase` on; `piece` of them may be read.
  const std::byte* at(std::uint32_t phase) const noexcept { return block_.data() + phase; }

  /// Returns how many bytes of `received` (at most `piece`) differ from the stream at `phase`.
  std::size_t wrong_bytes(std::span<const std::byte> received, std::uint32_t phase) const noexcept {
    if (std::memcmp(received.data(), at(phase), received.size()) == 0) [[likely]]
      return 0;
    return count_wrong(received, phase);
  }

private:
  // A prime: no message length divides it, so messages of one connection differ from each other.
  // Small enough to stay in a second level cache.
  static constexpr std::size_t period = 65521;

  std::size_t count_wrong(std::span<const std::byte> received, std::uint32_t phase) const noexcept;

  std::vector<std::byte> block_;
};

}  // namespace weft::load
