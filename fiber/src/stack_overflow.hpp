// Names the fiber that has run over the end of its stack, before the process ends by SIGSEGV.
// Threads: any.
#pragma once

#include <cstddef>

namespace weft::detail {

// While it exists the calling thread has an alternate signal stack, which it keeps if it has one,
// and the process handles SIGSEGV: a fault at the end of the stack of a fiber, or of the main
// fiber, writes one line to stderr. Then the fault takes its course: the handler that was there
// before is called, or the process ends with a core that shows where it was. A handler that the
// program installs later is left alone.
class overflow_watch {
public:
  // Without memory for the stack such a fault ends the process without a line.
  overflow_watch() noexcept;
  overflow_watch(const overflow_watch&) = delete;
  overflow_watch& operator=(const overflow_watch&) = delete;
  ~overflow_watch();

private:
  std::byte* memory_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace weft::detail
