// The error codes of weft's own: why a wait ended other than by what it waited for.
//
// They compare equal to the standard conditions, so that `ec == std::errc::timed_out` holds for
// code that knows only the standard names. Errors of the system keep std::system_category().
#pragma once

#include <string>
#include <system_error>

namespace weft {

enum class errc {
  eof = 1,    ///< the peer has ended the stream; there is nothing more to read
  timed_out,  ///< the deadline passed first; std::errc::timed_out
  cancelled,  ///< the waiting task was cancelled; std::errc::operation_canceled. Where it can come,
              ///< timed_out can, too: when a weft::timeout around the call has expired
  closed,     ///< the object was closed, before or while waiting; std::errc::bad_file_descriptor
};

/// The category of errc, named "weft".
const std::error_category& error_category() noexcept;

inline std::error_code make_error_code(errc code) noexcept {
  return {static_cast<int>(code), error_category()};
}

}  // namespace weft

template <>
struct std::is_error_code_enum<weft::errc> : std::true_type {};
