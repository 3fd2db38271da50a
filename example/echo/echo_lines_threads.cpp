// Echo line by line, the classic way: a blocking thread for each connection, on plain POSIX and
// std::thread.
//
// --workers sets how many threads accept; each connection has a thread of its own in any case.
#include "line_echo_threads.hpp"

int main(int argc, char** argv) {
  constexpr const char* program = "echo-lines-threads";
  example::server_options options;
  if (const auto code = example::parse_server_options(
          program, "TCP server that sends every line back, with a thread for each connection",
          "threads that accept; each connection has a thread of its own", options, argc, argv)) {
    return *code;
  }
  example::prepare_server_process();
  return example::run_thread_server(program, options,
                                    [](int fd) { example::echo_lines(program, fd); });
}
