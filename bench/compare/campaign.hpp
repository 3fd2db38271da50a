// The whole of the samples: which server is measured when, what is repeated, when it ends.
//
// Each round measures every case on every server, the servers in an order drawn anew, so that
// whatever changes slowly on the machine meets all of them alike. Rounds of shorter samples that do
// not count come first, and then what the callbacks answer where a load is a share of that.
//
// Threads: for the only thread of the process.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "measure.hpp"
#include "options.hpp"
#include "plan.hpp"
#include "sample.hpp"

namespace weft::compare {

struct campaign_result {
  std::vector<sample> samples;   ///< that count; failed ones of the warm-up are among them, round 0
  std::vector<sample> replaced;  ///< disturbed ones, measured again
  std::uint32_t warm_up_rounds = 0;  ///< that were complete before the first one that counts
  std::map<std::string, double> capacities;  ///< messages a second, by case at full speed
  std::uint32_t rounds = 0;                  ///< that are complete
  bool out_of_time = false;                  ///< the budget ended it before the last round
  int stopped_by = 0;                        ///< the signal that ended it, or 0
};

/// Returns how long the campaign is expected to take: no longer than its budget.
std::chrono::duration<double> expected_time_of(const options& settings, const plan& wanted,
                                               const bench& setup);

/// Makes the samples of `setup` shorter, down to 40 %, as far as it takes for all rounds to fit
/// into the budget; where not even that is enough the run ends with fewer rounds. Does nothing
/// where the user has said how long they are.
void shorten_samples(const options& settings, const plan& wanted, bench& setup);

/// Takes all samples, with a progress line on stderr if that is a terminal. `begin` is when the
/// budget of `settings` begins. A signal ends it early.
campaign_result run_campaign(const options& settings, const plan& wanted, const bench& setup,
                             steady::time_point begin);

}  // namespace weft::compare
