// What the system must allow before a run makes sense: file descriptors and local ports.
#pragma once

#include <optional>
#include <string>

#include "options.hpp"

namespace weft::load {

/// Raises the soft limit on open files to the hard one if a client process needs that. Returns
/// nothing when the run may go on, otherwise one line that names the limit and what is needed, or
/// the process of --server-pid that is none.
std::optional<std::string> check_limits(const options& settings);

}  // namespace weft::load
