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
constexpr std::uint32_t kibibyte = 1024;

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

std::optional<load_case> parse_connections_only(std::string_view text, case_kind kind) {
  const auto connections = take_number(text, most_connections);
  if (!connections || !text.empty()) return std::nullopt;
  return load_case{kind, *connections};
}

std::optional<load_case> parse_echo(std::string_view text) {
  load_case result;
  const auto connections = take_number(text, most_connections);
  if (!connections || !take(text, "x")) return std::nullopt;
  const auto bytes = take_bytes(text);
  if (!bytes) return std::nullopt;
  result.connections = *connections;
  result.message_bytes = *bytes;
  if (text.empty()) return result;
  if (!take(text, "x")) return std::nullopt;
  const auto depth = take_number(text, most_depth);
  if (!depth || !text.empty()) return std::nullopt;
  result.depth = *depth;
  return result;
}

std::optional<load_case> parse(std::string_view name) {
  if (take(name, "churn-")) return parse_connections_only(name, case_kind::churn);
  if (take(name, "idle-")) return parse_connections_only(name, case_kind::idle);
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
  switch (kind) {
  case case_kind::churn: return "churn-" + count;
  case case_kind::idle: return "idle-" + count;
  case case_kind::echo: break;
  }
  const std::string shape = count + "x" + short_bytes(message_bytes);
  return depth == 1 ? shape : shape + "x" + std::to_string(depth);
}

std::string load_case::title() const {
  switch (kind) {
  case case_kind::churn:
    return "connect, one exchange, close: " + grouped(connections) + " at a time";
  case case_kind::idle: return counted(connections, "idle connection");
  case case_kind::echo: break;
  }
  const std::string shape =
      counted(connections, "connection") + " x " + grouped(message_bytes) + " B";
  return depth == 1 ? shape : shape + ", " + grouped(depth) + " in flight";
}

load_case parse_case(std::string_view name) {
  if (const auto found = parse(name)) return *found;
  throw std::invalid_argument("'" + std::string{name} +
                              "' is no case, CONNECTIONSxBYTES[xDEPTH] such as 64x64, 64x16K or "
                              "64x64x16, churn-CONNECTIONS and idle-CONNECTIONS are accepted");
}

std::vector<load_case> cases_of(extent how_much) {
  const auto echo = [](std::uint32_t connections, std::uint32_t bytes, std::uint32_t depth = 1) {
    return load_case{case_kind::echo, connections, bytes, depth};
  };
  const auto other = [](case_kind kind, std::uint32_t connections) {
    return load_case{kind, connections};
  };
  constexpr std::uint32_t big = 16 * kibibyte;
  switch (how_much) {
  case extent::quick: return {echo(64, 64), echo(1000, 64), other(case_kind::idle, 1000)};
  case extent::standard:
    return {echo(64, 64),
            echo(1000, 64),
            echo(64, big),
            echo(64, 64, 16),
            other(case_kind::churn, 64),
            other(case_kind::idle, 1000)};
  case extent::full: break;
  }
  return {echo(64, 64),
          echo(1000, 64),
          echo(8000, 64),
          echo(64, big),
          echo(64, 64, 16),
          other(case_kind::churn, 64),
          other(case_kind::idle, 10'000)};
}

}  // namespace weft::compare
