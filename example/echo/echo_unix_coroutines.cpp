// Echo line by line on a UNIX socket, in coroutines: the handler is that of echo-lines-coroutines,
// only the address differs.
//
// --workers sets how many threads run coroutines.
#include "line_echo_coroutines.hpp"
#include "unix_line_server.hpp"

int main(int argc, char** argv) {
  constexpr const char* program = "echo-unix-coroutines";
  return example::run_unix_line_server(
      program, "a coroutine", "threads that run coroutines, which accept in turn", argc, argv,
      [](const auto& options) { return example::run_line_server(program, options); });
}
