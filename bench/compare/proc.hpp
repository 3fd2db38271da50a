// What the kernel tells about processes and about the machine.
//
// Threads: pure readings. A file that cannot be read gives nothing instead of a number.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>

#include "cores.hpp"

namespace weft::compare {

/// Returns the first line of a file, empty when it cannot be read.
std::string first_line(const std::string& path);

/// Returns the CPU time of all threads of a process, ended ones included, to the nanosecond.
std::optional<std::chrono::nanoseconds> cpu_time_of(pid_t process);

/// Returns the bytes of resident memory of a process, counted page by page and not from the
/// kernel's running estimate.
std::optional<std::int64_t> resident_memory_of(pid_t process);

/// Returns how many threads a process has.
std::optional<double> threads_of(pid_t process);

/// Returns the bytes that the kernel uses for itself on behalf of processes: slab, where sockets
/// live, kernel stacks, page tables.
std::optional<std::int64_t> kernel_memory();

/// Returns how many file descriptors a process may at most be allowed to have open.
std::uint64_t descriptor_limit();

/// Raises the soft limit of open files to the hard one, for the servers and the load too: not all
/// of them do so themselves.
void raise_descriptor_limit() noexcept;

/// How long some cores were not idle.
struct core_use {
  std::chrono::nanoseconds busy{};    ///< counted by the kernel in ticks
  std::chrono::nanoseconds stolen{};  ///< the hypervisor gave them to others
};

/// Returns that of `cores`, since boot.
core_use use_of(const core_set& cores);

/// Returns the CPU time of the kernel threads that work on the network for whoever caused it
/// (ksoftirqd), of `cores`.
std::chrono::nanoseconds network_threads_cpu(const core_set& cores);

}  // namespace weft::compare
