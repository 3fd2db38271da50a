// The whole of the samples: which server is measured when, what is repeated, when it ends.
//
// Each round measures every case on every server, the servers in an order drawn anew, so that
// whatever changes slowly on the machine meets all of them alike.
//
// Threads: for the only thread of the process.
#pragma once

#include <cstdint>
#include <vector>

#include "measure.hpp"
#include "options.hpp"
#include "plan.hpp"
#include "sample.hpp"

namespace weft::compare {

struct campaign_result {
  std::vector<sample> samples;   ///< that count
  std::vector<sample> replaced;  ///< disturbed ones, measured again
  std::uint32_t rounds = 0;      ///< that are complete
  bool out_of_time = false;      ///< the budget ended it before the last round
  int stopped_by = 0;            ///< the signal that ended it, or 0
};

/// Takes all samples, with a progress line on stderr if that is a terminal. `begin` is when the
/// budget of `settings` begins. A signal ends it early.
campaign_result run_campaign(const options& settings, const plan& wanted, const bench& setup,
                             steady::time_point begin);

}  // namespace weft::compare
