// The part of the C++ runtime's state that belongs to a fiber, not to a thread: which exceptions
// are being handled and how many are in flight (Itanium C++ ABI: Exception Handling, 2.2.2).
#pragma once

#include <cxxabi.h>

namespace weft::detail {

struct exception_globals {
  void* caught = nullptr;
  unsigned int uncaught = 0;
};

// Those of the calling thread. The layout is fixed by the ABI; cxxabi.h keeps the type opaque.
inline exception_globals& thread_exception_globals() noexcept {
  return *reinterpret_cast<exception_globals*>(abi::__cxa_get_globals());
}

}  // namespace weft::detail
