// The comparison as a part of a document in Markdown, such as bench/RESULTS.md.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <vector>

#include "campaign.hpp"
#include "environment.hpp"
#include "options.hpp"
#include "plan.hpp"
#include "summary.hpp"

namespace weft::compare {

/// Returns the part: date and machine, an overview of weft's own columns (between marks of its own,
/// which README.md repeats), a table for each case, and how to measure it again.
std::string markdown_report(const options& settings, const environment& where,
                            const core_plan& cores, const plan& wanted,
                            const campaign_result& measured, const std::vector<cell>& cells);

/// Returns `document` with `part` in the place of the one that an earlier run has put there,
/// between the marks that such a part has; behind all else where there is none.
std::string with_part(const std::string& document, const std::string& part);

}  // namespace weft::compare
