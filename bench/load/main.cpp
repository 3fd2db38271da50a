// weft-load: loads an echo server with TCP or UNIX connections and checks every byte that comes
// back. It uses no part of weft, so that it measures every server alike.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include <fmt/format.h>

#include <weft/tools/standard_streams.hpp>

#include "conductor.hpp"
#include "limits.hpp"
#include "options.hpp"
#include "report.hpp"

namespace {

int refuse(const std::string& why) {
  std::fputs(fmt::format("weft-load: {}\n", why).c_str(), stderr);  // print would throw
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  weft::tools::occupy_closed_streams(weft::tools::closed_output::fails);
  weft::load::options settings;
  if (const auto code = weft::load::parse_options(argc, argv, settings)) return *code;
  if (const auto problem = weft::load::check_limits(settings)) return refuse(*problem);

  const weft::load::run_result result = weft::load::conduct(settings);
  if (!result.failure.empty()) return refuse(result.failure);

  const std::string report = settings.json ? weft::load::json_report(settings, result)
                                           : weft::load::text_report(settings, result);
  if (!weft::tools::write_out(report)) {
    return refuse(fmt::format("cannot write the report: {}", std::strerror(errno)));
  }
  return weft::load::exit_code(result);
}
