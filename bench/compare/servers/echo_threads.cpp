// Echo with a blocking thread for each connection, on small stacks.
#include "thread_echo.hpp"

namespace {

constexpr const char* program = "compare-threads";

void start(int fd) { start_thread(program, echo, fd); }

}  // namespace

int main(int argc, char** argv) {
  return run_server(program, "TCP echo server with a blocking thread for each connection", start,
                    argc, argv);
}
