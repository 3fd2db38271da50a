// Which cores the server and the load run on, so that neither takes time from the other.
#pragma once

#include <string>
#include <vector>

namespace weft::compare {

/// Numbers of processors, as the kernel counts them.
using core_set = std::vector<unsigned>;

struct core_plan {
  core_set server;
  core_set load;  ///< also of this process

  /// Tells whether the two share a core, for want of a second one.
  bool shared() const { return server == load; }

  /// Returns the plan in words, with a remark when the two share a physical core.
  std::string text() const;
};

/// Gives the first core that this process may use to the server and the others to the load, but for
/// those of the same physical core, if there are more.
core_plan plan_cores();

/// Binds this process to `cores`. Returns whether that worked.
bool bind_to(const core_set& cores) noexcept;

}  // namespace weft::compare
