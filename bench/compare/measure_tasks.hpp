// Takes one sample of tasks without sockets: the program measures itself, here it is started, bound
// and read.
//
// Threads: for the only thread of the process.
#pragma once

#include <string>

#include "measure.hpp"

namespace weft::compare {

/// Runs `program` with the load that `load` names and fills `result`. Does not go on after
/// `deadline`. Throws `failure`, `interrupted`, std::system_error.
void measure_tasks(const bench& setup, const load_case& load, const std::string& program,
                   steady::time_point deadline, sample& result);

}  // namespace weft::compare
