// What of the wanted comparison can be run here, and how long that takes.
//
// Threads: plain values.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "measure.hpp"
#include "options.hpp"

namespace weft::compare {

/// A server or a case that is left out, and why.
struct omission {
  std::string name;
  std::string reason;
};

struct plan {
  std::vector<load_case> cases;
  std::vector<server> servers;
  std::vector<omission> skipped_cases;    ///< more connections than the system allows
  std::vector<omission> missing_servers;  ///< there is no such program

  /// Tells whether `what` is measured in `load`: callbacks have no tasks.
  static bool has(const load_case& load, const server& what) {
    return !program_of(what, load).empty();
  }
};

/// Returns what of `settings` can be run with the programs in `folder`.
plan make_plan(const options& settings, const std::string& folder);

/// Returns how long one round takes, more or less.
std::chrono::duration<double> time_of_round(const plan& wanted, const bench& setup);

}  // namespace weft::compare
