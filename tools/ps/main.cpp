// weft-ps: what the fibers of a running process do.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <limits>
#include <string>
#include <system_error>

#include <fmt/format.h>

#include <weft/tools/command_line.hpp>
#include <weft/tools/standard_streams.hpp>

#include "report.hpp"
#include "snapshot.hpp"

namespace {

constexpr const char* footer =
    "It reads the memory of the process and does not stop it, so it needs the permission to trace "
    "it:\n"
    "run it as the same user, and where only parents may (kernel.yama.ptrace_scope is 1), start "
    "the\n"
    "process with WEFT_DEBUG=ps in its environment, or run this as root.\n"
    "Exit codes: 0 the fibers were printed; 1 they could not be read; 2 a bad argument.";

struct options {
  int process = 0;
  bool json = false;
  bool tree = false;
};

int refuse(const std::string& why) {
  std::fputs(fmt::format("weft-ps: {}\n", why).c_str(), stderr);  // print would throw
  return weft::tools::exit_failed;
}

std::string explain(int process, const std::error_code& ec) {
  if (ec == std::errc::operation_not_permitted || ec == std::errc::permission_denied) {
    return fmt::format("process {} may not be read: be its user, and start it with WEFT_DEBUG=ps, "
                       "or be root",
                       process);
  }
  if (ec == std::errc::no_such_process || ec == std::errc::no_such_file_or_directory) {
    return fmt::format("there is no process {}", process);
  }
  return fmt::format("process {} could not be read: {}", process, ec.message());
}

int print_fibers(const options& wanted) {
  const auto fibers = weft::ps::read_fibers(weft::ps::process_memory{wanted.process});
  const std::string text = wanted.json   ? weft::ps::json_of(fibers)
                           : wanted.tree ? weft::ps::tree_of(fibers)
                                         : weft::ps::table_of(fibers);
  if (weft::tools::write_out(text)) return 0;
  return refuse(fmt::format("cannot write: {}", std::strerror(errno)));
}

}  // namespace

int main(int argc, char** argv) {
  weft::tools::occupy_closed_streams(weft::tools::closed_output::fails);
  options wanted;
  weft::tools::command_line arguments{
      "weft-ps", "Prints the fibers and coroutines of a running process: what each does, or waits "
                 "for and since when."};
  arguments.set_footer(footer);
  arguments.add_number("PID", wanted.process,
                       {1, std::numeric_limits<int>::max(), "the number of a process"},
                       "the process; it uses weft");
  const auto tree =
      arguments.add_flag("--tree", wanted.tree, "each fiber below the one that has spawned it");
  arguments.add_flag("--json", wanted.json, "as JSON, an array of objects").excludes(tree);
  const auto need_process = [&] {
    if (wanted.process == 0) {
      throw weft::tools::bad_argument("which process? The number of one is accepted, as `pgrep` "
                                      "prints it");
    }
  };
  if (const auto code = arguments.parse(argc, argv, need_process)) return *code;
  try {
    return print_fibers(wanted);
  } catch (const std::system_error& error) {
    return refuse(explain(wanted.process, error.code()));
  } catch (const std::exception& error) {
    return refuse(error.what());
  }
}
