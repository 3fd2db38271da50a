// Echo line by line, in coroutines: what a peer sends is read as lines from a buffered stream, and
// each is written back as it is.
//
// The stream sends what was written when it has no further line: many lines that come at once are
// one system call in and one out. --workers sets how many threads run coroutines.
#include "line_echo_coroutines.hpp"

int main(int argc, char** argv) {
  constexpr const char* program = "echo-lines-coroutines";
  example::server_options options;
  if (const auto code = example::parse_server_options(
          program, "TCP server that sends every line back, with a coroutine for each connection",
          "threads that run coroutines, each with a listener of its own", options, argc, argv)) {
    return *code;
  }
  example::prepare_server_process();
  return example::run_line_server(program, options);
}
