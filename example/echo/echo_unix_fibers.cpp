// Echo line by line on a UNIX socket, on fibers: the handler is that of echo-lines-fibers, only the
// address differs.
//
// A socket file that was left over by a server that is gone is replaced; where one is listening,
// this one ends with an error. --workers sets how many threads run fibers.
#include "line_echo_fibers.hpp"

int main(int argc, char** argv) {
  constexpr const char* program = "echo-unix-fibers";
  example::server_options options;
  if (const auto code = example::parse_unix_server_options(
          program,
          "server on a UNIX socket that sends every line back, with a fiber for each connection",
          "threads that run fibers, which accept in turn", options, argc, argv)) {
    return *code;
  }
  example::prepare_server_process();
  return example::run_line_server(program, options);
}
