#include "options.hpp"

#include <cmath>
#include <stdexcept>
#include <string>

#include <fmt/format.h>

#include <weft/tools/command_line.hpp>

namespace weft::load {
namespace {

using tools::bad_argument;
using tools::command_line;

constexpr const char* exit_codes =
    "Exit codes:\n"
    "  0    the run went well\n"
    "  1    it could not run: connect refused, connections lost before the start, too few file\n"
    "       descriptors or local ports\n"
    "  2    a bad argument\n"
    "  3    bytes that came back were wrong, or connections broke during the run\n"
    "  130  ended by Ctrl-C, 143 by SIGTERM, after the report of what was measured\n";

constexpr pid_t most_processes = 4 << 20;  // Linux gives no higher number: man 5 proc, pid_max

struct raw_options {
  std::string where;
  double seconds = 5;
  double warm_up = 1;
  bool churn = false;
  bool idle = false;
};

void add_shape(command_line& arguments, raw_options& raw, options& settings) {
  arguments
      .add_text("target", raw.where,
                "HOST:PORT of an echo server, HOST numeric, [v6] or localhost; or unix:/path")
      .shown_as("HOST:PORT");
  arguments
      .add_number("--connections", settings.connections, {1, 1'000'000, "a whole number"},
                  "connections at once")
      .shows_default();
  arguments
      .add_number("--message-bytes", settings.message_bytes, {1, 64u << 20, "a number of bytes"},
                  "length of a message")
      .shows_default();
  arguments
      .add_number("--depth", settings.depth, {1, 4096, "a whole number"},
                  "messages in flight on each connection")
      .shows_default();
  arguments
      .add_number("--seconds", raw.seconds, {0.01, 86400, "a number of seconds"},
                  "how long to measure, or to hold with --idle")
      .shows_default();
  arguments
      .add_number("--warm-up", raw.warm_up, {0, 86400, "a number of seconds"},
                  "load before it, not measured; none with --idle")
      .shows_default();
}

void add_modes(command_line& arguments, raw_options& raw, options& settings) {
  const auto rate =
      arguments.add_number("--rate", settings.rate, {0.01, 1e9, "messages per second"},
                           "open loop: start this many messages a second in all, evenly over the "
                           "connections, and measure from the intended start");
  const auto churn = arguments.add_flag("--churn", raw.churn,
                                        "connect, exchange one message, close, again and again");
  const auto idle = arguments.add_flag(
      "--idle", raw.idle, "exchange one message on each connection, then hold them silently");
  rate.excludes(churn).excludes(idle);
  churn.excludes(idle);
  arguments
      .add_number("--clients", settings.clients, {1, 256, "a whole number"},
                  "client processes that share the connections")
      .shows_default();
  arguments.add_number(
      "--server-pid", settings.server_pid, {1, most_processes, "a process number"},
      "process number of the server: tells its CPU time over the measured time too");
  arguments.add_flag("--json", settings.json, "print the report as one JSON object");
}

std::chrono::nanoseconds from_seconds(double seconds) {
  return std::chrono::nanoseconds(std::llround(seconds * 1e9));
}

// What one option alone cannot tell.
void check_together(const options& settings) {
  const auto refuse = [](const std::string& why) { throw bad_argument(why); };
  if (settings.clients > settings.connections) {
    refuse(fmt::format("--clients {} is more than --connections {}, expected at most as many",
                       settings.clients, settings.connections));
  }
  if (settings.mode == load_mode::churn && settings.depth != 1) {
    refuse("--churn exchanges one message at a time, expected --depth 1 with it");
  }
  constexpr std::uint64_t most_in_flight = std::uint64_t{1} << 30;
  if (std::uint64_t{settings.depth} * settings.message_bytes > most_in_flight) {
    refuse("--depth times --message-bytes is too much, expected at most 1 GiB in flight on a "
           "connection");
  }
}

void finish(const raw_options& raw, options& settings) {
  if (raw.where.empty()) {
    throw bad_argument("no target is given, expected HOST:PORT of an echo server or unix:/path");
  }
  try {
    settings.where = target::parse(raw.where);
  } catch (const std::invalid_argument& error) {
    throw bad_argument(error.what());
  }
  if (settings.rate > 0) settings.mode = load_mode::open;
  if (raw.churn) settings.mode = load_mode::churn;
  if (raw.idle) settings.mode = load_mode::idle;
  settings.duration = from_seconds(raw.seconds);
  settings.warm_up = raw.idle ? std::chrono::nanoseconds::zero() : from_seconds(raw.warm_up);
  check_together(settings);
}

}  // namespace

const char* name_of(load_mode mode) noexcept {
  switch (mode) {
  case load_mode::closed: return "closed";
  case load_mode::open: return "open";
  case load_mode::churn: return "churn";
  case load_mode::idle: return "idle";
  }
  return "unknown";
}

std::optional<int> parse_options(int argc, char** argv, options& settings) {
  command_line arguments{"weft-load",
                         "Loads an echo server and checks every byte that comes back."};
  arguments.set_footer(exit_codes);
  raw_options raw;
  add_shape(arguments, raw, settings);
  add_modes(arguments, raw, settings);
  return arguments.parse(argc, argv, [&] { finish(raw, settings); });
}

}  // namespace weft::load
