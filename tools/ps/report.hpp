// What weft-ps prints.
#pragma once

#include <string>
#include <vector>

#include "snapshot.hpp"

namespace weft::ps {

/// A line for each fiber, under a line of headings.
std::string table_of(const std::vector<fiber_info>& fibers);

/// The same, each fiber below the one that has spawned it.
std::string tree_of(const std::vector<fiber_info>& fibers);

/// An array with an object for each fiber: id, runtime, worker, name, kind ("fiber", "coroutine",
/// "main"), state ("not started", "ready", "runs", "waits", "ended"), waits_for and waiting_seconds
/// if it waits, spawned_by (0 for none), spawned_at.
std::string json_of(const std::vector<fiber_info>& fibers);

}  // namespace weft::ps
