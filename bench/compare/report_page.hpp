// The comparison as one page of HTML that holds all it needs: data, charts, the sources of the
// servers.
//
// Threads: pure functions.
#pragma once

#include <string>

#include "options.hpp"

namespace weft::compare {

/// Returns the page. `report` is the JSON object of the same run.
std::string page_report(const options& settings, const std::string& report);

}  // namespace weft::compare
