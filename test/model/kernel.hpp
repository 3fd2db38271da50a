// The part of the kernel that a poller sees, simulated: descriptors with numbers that are used
// again, epoll with edges, eventfd. The linker puts it under epoll_ctl(2) and the others by --wrap.
//
// Threads: those of a run; every call is a point where others may run.
#pragma once

#include <cstddef>

namespace weft::model {

/// Numbers of simulated descriptors begin here.
inline constexpr int first_number = 10'000;

/// Forgets all descriptors. Between runs.
void reset_kernel() noexcept;

/// Opens a stream, which becomes the `instance`th, under the lowest number that is free; returns
/// that. One that is `shared` lives on when its number is closed, as after a dup(2) or a fork(2).
int open_stream(int instance, bool shared);

/// One byte arrives at a stream. Waits until it has been opened; one that is gone takes nothing.
void deliver(int instance);

/// What read(2) of at most so many bytes does on a number that must stand for that stream: returns
/// how many there were, or -1 and errno EAGAIN. The number must not be closed meanwhile.
std::ptrdiff_t read_bytes(int number, int instance, std::size_t at_most);

/// How often a read of the stream has found nothing.
int vain_reads(int instance) noexcept;

/// How many numbers of streams are open.
int open_streams() noexcept;

}  // namespace weft::model
