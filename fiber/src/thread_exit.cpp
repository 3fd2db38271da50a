#include <cxxabi.h>

#include <weft/fiber/detail/worker.hpp>

// NOLINTNEXTLINE(readability-identifier-naming): the name is that of the C++ ABI
extern "C" __attribute__((visibility("hidden"))) void* __dso_handle;

namespace weft::detail {

void at_thread_exit(void (*function)(void*), void* argument) {
  abi::__cxa_thread_atexit(function, argument, &__dso_handle);
}

}  // namespace weft::detail
