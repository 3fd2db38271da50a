// Echo line by line on a UNIX socket, on fibers: the handler is that of echo-lines-fibers, only the
// address differs.
//
// --workers sets how many threads run fibers.
#include "line_echo_fibers.hpp"
#include "unix_line_server.hpp"

int main(int argc, char** argv) {
  constexpr const char* program = "echo-unix-fibers";
  return example::run_unix_line_server(
      program, "a fiber", "threads that run fibers, which accept in turn", argc, argv,
      [](const auto& options) { return example::run_line_server(program, options); });
}
