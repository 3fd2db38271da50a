// Who else used the cores of a sample while it was taken.
//
// The kernel counts the use of a core in ticks and the time of a process exactly: what the server,
// the load and this process do not account for was used by others, the hypervisor included.
#pragma once

#include <chrono>

#include "cores.hpp"
#include "proc.hpp"

namespace weft::compare {

/// From this fraction of a core on, a sample is said to be disturbed. Below it the ticks of the
/// kernel's count cannot be told from strangers.
inline constexpr double disturbing_fraction = 0.12;

class stranger_watch {
public:
  /// Begins to watch the cores of `plan`.
  explicit stranger_watch(const core_plan& plan);

  /// Returns the fraction of a core that others used since the beginning; `ours` is the CPU time of
  /// the server and the load meanwhile. Never below 0.
  double fraction(std::chrono::nanoseconds ours) const;

private:
  struct reading {
    core_use cores;
    std::chrono::nanoseconds own;      // of this process
    std::chrono::nanoseconds network;  // kernel threads that work for us
    std::chrono::steady_clock::time_point when;
  };

  reading read() const;

  core_set cores_;
  reading begin_;
};

}  // namespace weft::compare
