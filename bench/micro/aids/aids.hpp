// What each copy of the library offers to the bench, in its namespace.
#pragma once

namespace weft::bench {

/// Adds the rows, named ROW/`copy`. Brief ones take little time, for nobody looks at the figures.
void add_rows(const char* copy, bool is_brief);

}  // namespace weft::bench
