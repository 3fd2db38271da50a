// Echo, the classic way, tuned: a blocking thread for each connection, which serves another one
// when that has ended.
//
// --workers sets how many threads accept; there are as many others as there were connections at the
// same time.
#include "echo/echo_threads.hpp"
#include "support/thread_server.hpp"

int main(int argc, char** argv) {
  constexpr const char* program = "echo-thread-pool";
  example::server_options options;
  if (const auto code = example::parse_server_options(
          program, "TCP echo server with a pool of threads that serve one connection after another",
          "threads that accept", options, argc, argv)) {
    return *code;
  }
  example::prepare_server_process();
  return example::run_thread_server(program, options, example::echo,
                                    example::connection_threads::reused);
}
