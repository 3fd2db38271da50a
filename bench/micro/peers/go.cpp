// The column of Go: a program of its own, bin/peers-go, started for each figure.
#include <string>
#include <string_view>

#include "../micro_bench.hpp"
#include "rows.hpp"

namespace weft::bench {

void add_go() {
  constexpr const char* peer = "go";
  constexpr const char* package = "golang-go";
  for (const char* const each : row::all) {
    if (std::string_view{each} == row::parked) continue;
    add_program(each, peer, "peers-go", (is_brief() ? "--brief " : "") + std::string{each},
                "cpu_ns", package);
  }
  add_program(row::parked, peer, "tasks-go", parked_arguments, parked_key, package);
}

}  // namespace weft::bench
