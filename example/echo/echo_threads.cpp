// Echo, the classic way: a blocking thread for each connection, on plain POSIX and std::thread.
//
// --workers sets how many threads accept; each connection has a thread of its own in any case.
#include "echo_threads.hpp"

#include "../support/thread_server.hpp"

int main(int argc, char** argv) {
  constexpr const char* program = "echo-threads";
  example::server_options options;
  if (const auto code = example::parse_server_options(
          program, "TCP echo server with a thread for each connection",
          "threads that accept; each connection has a thread of its own", options, argc, argv)) {
    return *code;
  }
  example::prepare_server_process();
  return example::run_thread_server(program, options, example::echo);
}
