#include "servers.hpp"

#include <filesystem>
#include <stdexcept>
#include <unistd.h>

namespace weft::compare {
namespace {

constexpr const char* edge = "epoll, edge-triggered, registered once";
constexpr const char* blocking = "recv and send that block";
constexpr const char* in_each = "in each connection";
constexpr const char* on_stack = "on the stack";
constexpr const char* shared = "one for all connections";
constexpr const char* none = "none";
constexpr const char* small_stack = "64 KiB";

}  // namespace

const char* baseline_of(const load_case& load) {
  return is_task_load(load.kind) ? baseline_tasks : baseline_server;
}

const std::vector<server>& all_servers() {
  static const std::vector<server> servers{
      {"threads",
       "a thread for each connection",
       blocking,
       on_stack,
       small_stack,
       "",
       true,
       {"example/echo/echo_threads.cpp", "example/echo/echo_threads.hpp",
        "example/support/thread_server.hpp"}},
      {"thread-pool",
       "threads that serve one connection after another",
       blocking,
       on_stack,
       small_stack,
       "",
       false,
       {"bench/compare/servers/echo_thread_pool.cpp", "example/echo/echo_threads.hpp",
        "example/support/thread_server.hpp"}},
      {baseline_server,
       "a state machine on raw epoll",
       edge,
       shared,
       none,
       "",
       false,
       {"example/echo/echo_callbacks.cpp"}},
      {baseline_tasks,
       "a fiber for each connection",
       edge,
       "lent by the worker for each read",
       "256 KiB of addresses",
       "",
       true,
       {"example/echo/echo_fibers.cpp", "example/support/weft_server.cpp"}},
      {"coroutines",
       "a coroutine for each connection",
       edge,
       "lent by the worker for each read",
       none,
       "",
       true,
       {"example/echo/echo_coroutines.cpp", "example/support/weft_server.cpp"}},
      {"asio",
       "a coroutine of Boost.Asio for each connection",
       "epoll, edge-triggered, after a recv that found nothing",
       in_each,
       none,
       "",
       true,
       {"bench/compare/servers/echo_asio.cpp"}},
      {"boost-fiber",
       "a fiber of Boost.Fiber for each connection",
       edge,
       on_stack,
       small_stack,
       "",
       true,
       {"bench/compare/servers/echo_boost_fiber.cpp"}},
      {"state-threads",
       "a thread of libst for each connection",
       "epoll, registered for each wait, after a recv that found nothing",
       on_stack,
       small_stack,
       "libst-dev",
       false,
       {"bench/compare/servers/echo_state_threads.cpp"}},
      {"go",
       "a goroutine for each connection",
       "epoll, edge-triggered, after a read that found nothing",
       in_each,
       "2 KiB, grows",
       "golang-go",
       true,
       {"bench/compare/servers/echo_go.go"}},
      {"gevent",
       "a greenlet for each connection, in Python",
       "epoll by libev, registered for each wait",
       in_each,
       "copied out when it waits",
       "python3-gevent",
       false,
       {"bench/compare/servers/echo_gevent.py"}},
      {"uvloop",
       "a protocol object of asyncio for each connection, in Python",
       "epoll by libuv, level-triggered",
       shared,
       none,
       "python3-uvloop",
       false,
       {"bench/compare/servers/echo_uvloop.py"}},
  };
  return servers;
}

std::string server_names() {
  std::string names;
  for (const server& each : all_servers()) names += (names.empty() ? "" : ", ") + each.name;
  return names;
}

const server& find_server(const std::string& name) {
  for (const server& each : all_servers()) {
    if (each.name == name) return each;
  }
  throw std::invalid_argument("'" + name + "' is no server, accepted are " + server_names());
}

std::string program_of(const server& what, const load_case& load) {
  if (!is_task_load(load.kind)) return "echo-" + what.name;
  return what.has_tasks ? "tasks-" + what.name : "";
}

std::string program_folder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().string();
}

bool is_program(const std::string& folder, const std::string& name) {
  return ::access((folder + "/" + name).c_str(), X_OK) == 0;
}

}  // namespace weft::compare
