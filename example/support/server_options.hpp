// What every server among the examples takes on its command line, and what it does before it
// listens.
//
// Plain POSIX: the thread and callback programs have not one line of weft in them, and the
// programs on weft start in the same way.
#pragma once

#include <arpa/inet.h>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <sys/un.h>

#include <weft/tools/command_line.hpp>
#include <weft/tools/standard_streams.hpp>

namespace example {

struct server_options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 25000;  // the port of the classic echo example
  std::string path;            // of the socket file, for a server on a UNIX socket; else empty
  unsigned workers = 1;
  bool quiet = false;
};

/// Tells what is wrong with `text` as a numeric IPv4 or IPv6 address; empty when nothing is.
inline std::string check_address(const std::string& text) {
  in6_addr address;
  if (::inet_pton(AF_INET, text.c_str(), &address) == 1) return {};
  if (::inet_pton(AF_INET6, text.c_str(), &address) == 1) return {};
  return "'" + text +
         "' is no address, an IPv4 or IPv6 address such as 127.0.0.1 or ::1 is accepted";
}

/// Tells what is wrong with `text` as the path of a socket file; empty when nothing is.
inline std::string check_path(const std::string& text) {
  constexpr std::size_t longest = sizeof sockaddr_un{}.sun_path - 1;  // and a NUL, man 7 unix
  if (!text.empty() && text.size() <= longest && text[0] != '@') return {};
  return "'" + text + "' is no path of a socket, one of 1 to " + std::to_string(longest) +
         " bytes is accepted, without an @ at its beginning";
}

namespace detail {
inline void add_address(weft::tools::command_line& arguments, server_options& options) {
  arguments.add_text("--host", options.host, "address to listen on")
      .checked(check_address, "ADDRESS")
      .shows_default();
  arguments
      .add_number("--port", options.port, {0, 65535, "a port"},
                  "port to listen on, 0 picks a free one")
      .shows_default();
}

inline std::optional<int> parse_with_common_options(weft::tools::command_line& arguments,
                                                    const std::string& workers_help,
                                                    server_options& options, int argc,
                                                    char** argv) {
  arguments.add_number("--workers", options.workers, {1, 1024, "a whole number"}, workers_help)
      .shows_default();
  arguments.add_flag("--quiet", options.quiet,
                     "print no line per connection; without it the server stops while nobody reads "
                     "what it prints");
  return arguments.parse(argc, argv);
}
}  // namespace detail

/// Parses the command line of the TCP server `name` into `options`. Returns nothing when the server
/// may go on, otherwise the code to exit with. `workers_help` says what a worker is in this server.
inline std::optional<int> parse_server_options(const std::string& name,
                                               const std::string& description,
                                               const std::string& workers_help,
                                               server_options& options, int argc, char** argv) {
  weft::tools::command_line arguments{name, description};
  detail::add_address(arguments, options);
  return detail::parse_with_common_options(arguments, workers_help, options, argc, argv);
}

/// The same for a server on one thread that prints nothing of its connections: --quiet is accepted
/// since the others have it.
inline std::optional<int> parse_single_threaded_options(const std::string& name,
                                                        const std::string& description,
                                                        server_options& options, int argc,
                                                        char** argv) {
  weft::tools::command_line arguments{name, description};
  detail::add_address(arguments, options);
  arguments.add_flag("--quiet", options.quiet, "as it is in any case: no line per connection");
  return arguments.parse(argc, argv);
}

/// The same for a server on a UNIX socket, which has a path instead of a host and a port.
inline std::optional<int> parse_unix_server_options(const std::string& name,
                                                    const std::string& description,
                                                    const std::string& workers_help,
                                                    server_options& options, int argc,
                                                    char** argv) {
  weft::tools::command_line arguments{name, description};
  options.path = "/tmp/weft-echo.sock";
  arguments.add_text("--path", options.path, "path of the socket to listen on")
      .checked(check_path, "PATH")
      .shows_default();
  return detail::parse_with_common_options(arguments, workers_help, options, argc, argv);
}

/// Makes the process ready to serve: every line of output leaves at once, into a pipe too; nothing
/// is printed into a connection where stdout or stderr was closed, and whoever reads them may go
/// away; the soft limit of open descriptors is raised to the hard one.
inline void prepare_server_process() {
  weft::tools::occupy_closed_streams(weft::tools::closed_output::is_discarded);
  std::signal(SIGPIPE, SIG_IGN);
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);  // a refusal leaves the soft limit, which serves as well
  }
}

/// Prints `listening on ADDRESS`. Returns false with errno when it cannot: without that line nobody
/// knows the port.
inline bool print_address(const std::string& address) {
  return weft::tools::write_out("listening on " + address + "\n");
}

}  // namespace example
