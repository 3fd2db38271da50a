// Echo line by line on a UNIX socket, the classic way: the handler is that of echo-lines-threads,
// only the address differs.
//
// A socket file that was left over by a server that is gone is replaced; where one is listening,
// this one ends with an error. --workers sets how many threads accept.
#include "line_echo_threads.hpp"

int main(int argc, char** argv) {
  constexpr const char* program = "echo-unix-threads";
  example::server_options options;
  if (const auto code = example::parse_unix_server_options(
          program,
          "server on a UNIX socket that sends every line back, with a thread for each connection",
          "threads that accept; each connection has a thread of its own", options, argc, argv)) {
    return *code;
  }
  example::prepare_server_process();
  return example::run_thread_server(program, options,
                                    [](int fd) { example::echo_lines(program, fd); });
}
