// What all fibers and coroutines of the process do at this moment: for who looks at a program that
// hangs. From outside: tools/gdb/weft.py and weft-ps.
#pragma once

#include <cstdio>
#include <string_view>

namespace weft {

/// Writes a line for each fiber of the process, of all runtimes: its name, what it does or waits
/// for and since when, who has spawned it and where; and for a coroutine that has suspended, on a
/// worker of the calling thread, a line for each of its frames, the innermost first: where that
/// awaits. Since when is to the tick of the kernel before the worker has polled last: some
/// milliseconds. Waits for no lock of weft's: what is in the hands of another thread at that moment
/// is left out, with a line that says so. Until all is written the other workers cannot begin or
/// end fibers: not into a pipe that one of them reads. Any thread.
///
///     runtime 1, worker 0: 2 fibers
///       "main" (fiber 1) waits for the end of fiber 2, for 12.3 s
///       "shop" (fiber 2) waits to receive from channel 0x7ffd5c3b2a10, for 12.3 s; spawned by
///       fiber 1 at shop.cpp:42                                           (in one line)
void dump(std::FILE* out) noexcept;

/// The same to a descriptor, for handlers of signals too: it takes no memory, and waits for no lock
/// of a stream. What cannot be written is lost.
void dump(int descriptor) noexcept;

/// While one lives, SIGQUIT (Ctrl-\ on a terminal) has the process write a dump to stderr and go
/// on, instead of ending it. A process that ignores SIGQUIT, or handles it itself, keeps doing so.
///
/// weft::run() makes one if the variable WEFT_DEBUG of the environment has the word `dump` in it.
class dump_on_quit {
public:
  dump_on_quit() noexcept : dump_on_quit(true) {}

  /// Only if `wanted`.
  explicit dump_on_quit(bool wanted) noexcept;
  dump_on_quit(const dump_on_quit&) = delete;
  dump_on_quit& operator=(const dump_on_quit&) = delete;
  ~dump_on_quit();

private:
  const bool counted_;
};

namespace detail {

// Whether the variable WEFT_DEBUG of the environment has the word in it, between commas.
bool debugging_wants(std::string_view word) noexcept;
// With the word `ps`: lets any process of the user read the memory of this one.
void let_others_look_if_wanted() noexcept;

}  // namespace detail
}  // namespace weft
