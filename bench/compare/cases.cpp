#include "cases.hpp"

#include <charconv>
#include <optional>
#include <stdexcept>

#include "text.hpp"

namespace weft::compare {
namespace {

constexpr std::uint32_t most_connections = 1'000'000;  // what weft-load accepts
constexpr std::uint32_t most_bytes = 64U << 20;        // the same
constexpr std::uint32_t most_depth = 4096;             // the same
constexpr std::uint32_t most_percent = 400;
constexpr std::uint32_t most_tasks = 10'000'000;  // what the programs accept
constexpr std::uint32_t most_spawned = 1'000'000;
constexpr std::uint32_t most_calls = 1000;
constexpr std::uint32_t kibibyte = 1024;

struct named_kind {
  std::string_view prefix;
  case_kind kind;
  std::uint32_t most;
};

// The kinds that are followed by one number.
constexpr named_kind named_kinds[] = {
    {"churn-", case_kind::churn, most_connections}, {"idle-", case_kind::idle, most_connections},
    {"parked-", case_kind::parked, most_tasks},     {"spawn-", case_kind::spawn, most_spawned},
    {"chain-", case_kind::chain, most_calls},
};

// Takes a decimal number from the front of `text`; nothing unless it is from 1 to `most`.
std::optional<std::uint32_t> take_number(std::string_view& text, std::uint32_t most) {
  if (text.starts_with('0')) return std::nullopt;  // others would read an octal number
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || value > most) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

std::optional<std::uint32_t> take_bytes(std::string_view& text) {
  const auto value = take_number(text, most_bytes);
  if (!value || !take(text, "K")) return value;
  if (*value > most_bytes / kibibyte) return std::nullopt;
  return *value * kibibyte;
}

// Takes `@PERCENT`, which may be missing.
bool take_rate(std::string_view& text, std::uint32_t& percent) {
  if (!take(text, "@")) return true;
  const auto value = take_number(text, most_percent);
  percent = value.value_or(0);
  return value.has_value();
}

std::optional<load_case> parse_echo(std::string_view text) {
  load_case result;
  const auto connections = take_number(text, most_connections);
  if (!connections || !take(text, "x")) return std::nullopt;
  const auto bytes = take_bytes(text);
  if (!bytes) return std::nullopt;
  result.connections = *connections;
  result.message_bytes = *bytes;
  if (take(text, "x")) {
    const auto depth = take_number(text, most_depth);
    if (!depth) return std::nullopt;
    result.depth = *depth;
  }
  // A rate says how many are in flight: as many as it takes.
  if (!take_rate(text, result.rate_percent) || !text.empty()) return std::nullopt;
  if (result.rate_percent != 0 && result.depth != 1) return std::nullopt;
  return result;
}

std::optional<load_case> parse(std::string_view name) {
  for (const named_kind& each : named_kinds) {
    if (!take(name, each.prefix)) continue;
    const auto number = take_number(name, each.most);
    if (!number || !name.empty()) return std::nullopt;
    return load_case{each.kind, *number};
  }
  return parse_echo(name);
}

std::string short_bytes(std::uint32_t bytes) {
  return bytes % kibibyte == 0 ? std::to_string(bytes / kibibyte) + "K" : std::to_string(bytes);
}

std::string counted(std::uint32_t number, const char* noun) {
  return grouped(number) + " " + noun + (number == 1 ? "" : "s");
}

}  // namespace

std::string load_case::name() const {
  const std::string count = std::to_string(connections);
  for (const named_kind& each : named_kinds) {
    if (each.kind == kind) return std::string{each.prefix} + count;
  }
  std::string shape = count + "x" + short_bytes(message_bytes);
  if (depth != 1) shape += "x" + std::to_string(depth);
  return rate_percent == 0 ? shape : shape + "@" + std::to_string(rate_percent);
}

std::string load_case::title() const {
  switch (kind) {
  case case_kind::churn:
    return "connect, one exchange, close: " + grouped(connections) + " at a time";
  case case_kind::idle: return counted(connections, "idle connection");
  case case_kind::parked:
    return counted(connections, "task") + " that wait" + (connections == 1 ? "s" : "");
  case case_kind::spawn: return "spawn and join, " + grouped(connections) + " at once";
  case case_kind::chain:
    return "give way to another task, " + counted(connections, "call") + " deep";
  case case_kind::echo: break;
  }
  std::string shape = counted(connections, "connection") + " x " + grouped(message_bytes) + " B";
  if (depth != 1) shape += ", " + grouped(depth) + " in flight";
  if (rate_percent != 0) shape += ", at " + std::to_string(rate_percent) + " % of capacity";
  return shape;
}

load_case load_case::at_full_speed() const {
  load_case result = *this;
  result.rate_percent = 0;
  return result;
}

load_case parse_case(std::string_view name) {
  if (const auto found = parse(name)) return *found;
  throw std::invalid_argument(
      "'" + std::string{name} +
      "' is no case, accepted are CONNECTIONSxBYTES[xDEPTH] such as 64x64, 64x16K or 64x64x16, "
      "CONNECTIONSxBYTES@PERCENT, churn-CONNECTIONS, idle-CONNECTIONS, parked-TASKS, spawn-TASKS "
      "and chain-DEPTH");
}

std::uint32_t parse_connections(std::string_view text) {
  std::string_view rest = text;
  const auto number = take_number(rest, most_connections);
  if (number && rest.empty()) return *number;
  throw std::invalid_argument("'" + std::string{text} +
                              "' is no number of connections, one from 1 to " +
                              grouped(most_connections) + " is accepted");
}

std::vector<load_case> cases_of(extent how_much) {
  const auto echo = [](std::uint32_t connections, std::uint32_t bytes, std::uint32_t depth = 1) {
    return load_case{case_kind::echo, connections, bytes, depth};
  };
  const auto other = [](case_kind kind, std::uint32_t connections) {
    return load_case{kind, connections};
  };
  const auto at_rate = [](std::uint32_t percent) {
    return load_case{case_kind::echo, 64, 64, 1, percent};
  };
  constexpr std::uint32_t big = 16 * kibibyte;
  switch (how_much) {
  case extent::quick: return {echo(64, 64), echo(1000, 64), other(case_kind::idle, 1000)};
  case extent::standard:
    return {echo(64, 64),
            echo(1000, 64),
            echo(64, big),
            at_rate(80),
            other(case_kind::churn, 64),
            other(case_kind::idle, 1000),
            other(case_kind::parked, 10'000),
            other(case_kind::spawn, 1000),
            other(case_kind::chain, 16)};
  case extent::full: break;
  }
  return {echo(1, 64),
          echo(64, 64),
          echo(1000, 64),
          echo(8000, 64),
          echo(64, big),
          echo(64, 64, 16),
          at_rate(50),
          at_rate(80),
          at_rate(95),
          other(case_kind::churn, 64),
          other(case_kind::idle, 10'000),
          other(case_kind::parked, 10),
          other(case_kind::parked, 100),
          other(case_kind::parked, 1000),
          other(case_kind::parked, 10'000),
          other(case_kind::parked, 100'000),
          other(case_kind::spawn, 1),
          other(case_kind::spawn, 1000),
          other(case_kind::chain, 1),
          other(case_kind::chain, 16),
          other(case_kind::chain, 64)};
}

}  // namespace weft::compare
