// Echo line by line on a UNIX socket, the classic way: the handler is that of echo-lines-threads,
// only the address differs.
//
// --workers sets how many threads accept.
#include "line_echo_threads.hpp"
#include "unix_line_server.hpp"

int main(int argc, char** argv) {
  constexpr const char* program = "echo-unix-threads";
  return example::run_unix_line_server(
      program, "a thread", "threads that accept; each connection has a thread of its own", argc,
      argv, [](const auto& options) {
        return example::run_thread_server(program, options,
                                          [](int fd) { example::echo_lines(program, fd); });
      });
}
