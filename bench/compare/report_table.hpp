// The comparison as a table for people.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <vector>

#include "campaign.hpp"
#include "plan.hpp"
#include "summary.hpp"

namespace weft::compare {

/// Returns a table for each case, and below them the notes that their marks refer to.
std::string table_report(const plan& wanted, const campaign_result& measured,
                         const std::vector<cell>& cells);

/// The cells of a table, row by row; the first row is the heading. Blanks keep numbers that carry a
/// mark below those that carry none.
using table_rows = std::vector<std::vector<std::string>>;

/// Returns the table of one case; no more than the heading where nothing could be measured.
table_rows rows_of_case(const load_case& load, const std::vector<cell>& cells);

/// Returns what the marks in the tables mean, as far as there are such, a note a line.
std::string notes_of_tables(const campaign_result& measured, const std::vector<cell>& cells);

/// Returns a ratio as the table has it: `1.99 [1.95, 2.04]`, or `1.01 [0.98, 1.03] equal` when the
/// difference from 1 is within the interval; `-` for none.
std::string ratio_text(const std::optional<estimate>& ratio);

/// Returns a time in nanoseconds with three digits that count: `178 ns`, `2.91 us`.
std::string time_text(double nanoseconds);

}  // namespace weft::compare
