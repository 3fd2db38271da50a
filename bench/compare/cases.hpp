// What the servers are put through: the cases of the comparison and how they are named.
//
// A case has a short name that is also what a user types: CONNECTIONSxBYTES[xDEPTH][@PERCENT] for
// an echo load, where BYTES may end in K and DEPTH messages are in flight on each connection, or
// messages are sent at a fixed rate, PERCENT of what the callbacks answered when each reply was
// followed by the next message; churn-CONNECTIONS for connect, one exchange, close;
// idle-CONNECTIONS for connections that only stay open. Without sockets: parked-TASKS for tasks
// that wait, spawn-TASKS for so many at once that begin and end, chain-DEPTH for tasks that give
// way so many calls deep.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft::compare {

enum class case_kind { echo, churn, idle, parked, spawn, chain };

/// Tells whether such a load has tasks alone, without connections.
constexpr bool is_task_load(case_kind kind) noexcept {
  return kind == case_kind::parked || kind == case_kind::spawn || kind == case_kind::chain;
}

struct load_case {
  case_kind kind = case_kind::echo;
  std::uint32_t connections = 64;  ///< of task loads: tasks, of a chain its calls
  std::uint32_t message_bytes = 64;
  std::uint32_t depth = 1;
  std::uint32_t rate_percent = 0;  ///< of the capacity; 0: as fast as the replies come

  /// Returns the short name, for example `64x16K`.
  std::string name() const;

  /// Returns the case that tells the capacity for one with a fixed rate.
  load_case at_full_speed() const;

  /// Returns the name for people, for example `64 connections x 16,384 B`.
  std::string title() const;

  friend bool operator==(const load_case&, const load_case&) = default;
};

/// Turns the short name of any case into the case. Throws std::invalid_argument with a line that
/// says what is accepted.
load_case parse_case(std::string_view name);

/// Turns a number of connections into the number. Throws std::invalid_argument with a line that
/// says what is accepted.
std::uint32_t parse_connections(std::string_view text);

/// How much a run is to measure.
enum class extent { quick, standard, full };

/// Returns the cases of a run.
std::vector<load_case> cases_of(extent how_much);

}  // namespace weft::compare
