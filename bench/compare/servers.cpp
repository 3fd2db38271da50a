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

constexpr const char* no_delay = "TCP_NODELAY, backlog SOMAXCONN";
constexpr const char* library_no_delay = "TCP_NODELAY by the library, backlog 4,096";
constexpr const char* posix_server = "example/support/posix_server.hpp";

constexpr const char* lent = "lent by the worker for each read";

using servers = std::vector<server>;

// The styles, with nothing but POSIX or with weft.
servers styles() {
  return {
      {.name = "threads",
       .style = "a thread for each connection",
       .waits_by = blocking,
       .buffer = on_stack,
       .stack = small_stack,
       .options = no_delay,
       .package = "",
       .has_tasks = true,
       .sources = {"bench/compare/servers/echo_threads.cpp",
                   "bench/compare/servers/thread_echo.hpp"},
       .shared = {posix_server}},
      {.name = "thread-pool",
       .style = "threads that serve one connection after another",
       .waits_by = blocking,
       .buffer = on_stack,
       .stack = small_stack,
       .options = no_delay,
       .package = "",
       .has_tasks = false,
       .sources = {"bench/compare/servers/echo_thread_pool.cpp",
                   "bench/compare/servers/thread_echo.hpp"},
       .shared = {posix_server}},
      {.name = baseline_server,
       .style = "a state machine on raw epoll",
       .waits_by = edge,
       .buffer = shared,
       .stack = none,
       .options = no_delay,
       .package = "",
       .has_tasks = false,
       .sources = {"bench/compare/servers/echo_callbacks.cpp"},
       .shared = {posix_server}},
      {.name = baseline_tasks,
       .style = "a fiber for each connection",
       .waits_by = edge,
       .buffer = lent,
       .stack = "256 KiB of addresses",
       .options = no_delay,
       .package = "",
       .has_tasks = true,
       .sources = {"bench/compare/servers/echo_fibers.cpp"}},
      {.name = "coroutines",
       .style = "a coroutine for each connection",
       .waits_by = edge,
       .buffer = lent,
       .stack = none,
       .options = no_delay,
       .package = "",
       .has_tasks = true,
       .sources = {"bench/compare/servers/echo_coroutines.cpp"}},
  };
}

// Those that are always built.
servers peers() {
  return {
      {.name = "asio",
       .style = "a coroutine of Boost.Asio for each connection",
       .waits_by = "epoll, edge-triggered, after a recv that found nothing",
       .buffer = in_each,
       .stack = none,
       .options = no_delay,
       .package = "",
       .has_tasks = true,
       .sources = {"bench/compare/servers/echo_asio.cpp"}},
      {.name = "boost-fiber",
       .style = "a fiber of Boost.Fiber for each connection",
       .waits_by = edge,
       .buffer = on_stack,
       .stack = small_stack,
       .options = no_delay,
       .package = "",
       .has_tasks = true,
       .sources = {"bench/compare/servers/echo_boost_fiber.cpp"},
       .shared = {posix_server}},
  };
}

// Those that need a package of their own.
servers optional_peers() {
  return {
      {.name = "state-threads",
       .style = "a thread of libst for each connection",
       .waits_by = "poll(2) on all that wait, after a recv that found nothing",
       .buffer = on_stack,
       .stack = small_stack,
       .options = no_delay,
       .package = "libst-dev",
       .has_tasks = false,
       .sources = {"bench/compare/servers/echo_state_threads.cpp"},
       .shared = {posix_server}},
      {.name = "go",
       .style = "a goroutine for each connection",
       .waits_by = "epoll, edge-triggered, after a read that found nothing",
       .buffer = in_each,
       .stack = "2 KiB, grows",
       .options = library_no_delay,
       .package = "golang-go",
       .has_tasks = true,
       .sources = {"bench/compare/servers/echo_go.go"}},
      {.name = "gevent",
       .style = "a greenlet for each connection, in Python",
       .waits_by = "epoll by libev, registered for each wait",
       .buffer = in_each,
       .stack = "copied out when it waits",
       .options = "TCP_NODELAY, backlog 4,096",
       .package = "python3-gevent",
       .has_tasks = false,
       .sources = {"bench/compare/servers/echo_gevent.py"}},
      {.name = "uvloop",
       .style = "a protocol object of asyncio for each connection, in Python",
       .waits_by = "epoll by libuv, level-triggered",
       .buffer = shared,
       .stack = none,
       .options = library_no_delay,
       .package = "python3-uvloop",
       .has_tasks = false,
       .sources = {"bench/compare/servers/echo_uvloop.py"}},
  };
}

}  // namespace

const char* baseline_of(const load_case& load) {
  return is_task_load(load.kind) ? baseline_tasks : baseline_server;
}

const std::vector<server>& all_servers() {
  static const servers all = [] {
    servers result;
    for (const servers& part : {styles(), peers(), optional_peers()}) {
      result.insert(result.end(), part.begin(), part.end());
    }
    return result;
  }();
  return all;
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
  if (!is_task_load(load.kind)) {
    // There are examples of these styles by the names echo-..., which can do more.
    const bool has_example = what.name == "threads" || what.name == baseline_server ||
                             what.name == baseline_tasks || what.name == "coroutines";
    return (has_example ? "compare-" : "echo-") + what.name;
  }
  return what.has_tasks ? "tasks-" + what.name : "";
}

std::string program_folder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().string();
}

bool is_program(const std::string& folder, const std::string& name) {
  return ::access((folder + "/" + name).c_str(), X_OK) == 0;
}

}  // namespace weft::compare
