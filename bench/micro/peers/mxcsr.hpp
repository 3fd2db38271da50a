// The control and status of SSE arithmetic of the calling thread (Intel SDM 1, 10.2.3). To load it
// with another value costs tens of ns, of which some context switches are made up.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#ifdef __SSE__
#include <xmmintrin.h>
#endif

namespace weft::bench {

inline std::uint32_t read_mxcsr() noexcept {
#ifdef __SSE__
  return _mm_getcsr();
#else
  return 0;
#endif
}

inline void write_mxcsr([[maybe_unused]] std::uint32_t value) noexcept {
#ifdef __SSE__
  _mm_setcsr(value);
#endif
}

// What arithmetic sets whose result was rounded, until somebody clears it.
inline constexpr std::uint32_t mxcsr_inexact = 0x20;
inline constexpr std::uint32_t mxcsr_round_up = 0x4000;

/// In hexadecimal.
inline std::string text_of_mxcsr(std::uint32_t value = read_mxcsr()) {
  char text[16];
  std::snprintf(text, sizeof text, "%04x", static_cast<unsigned>(value));
  return text;
}

}  // namespace weft::bench
