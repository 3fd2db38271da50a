// What the servers are put through: the cases of the comparison and how they are named.
//
// A case has a short name that is also what a user types: CONNECTIONSxBYTES[xDEPTH] for an echo
// load, where BYTES may end in K and DEPTH messages are in flight on each connection;
// churn-CONNECTIONS for connect, one exchange, close; idle-CONNECTIONS for connections that only
// stay open.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft::compare {

enum class case_kind { echo, churn, idle };

struct load_case {
  case_kind kind = case_kind::echo;
  std::uint32_t connections = 64;
  std::uint32_t message_bytes = 64;
  std::uint32_t depth = 1;

  /// Returns the short name, for example `64x16K`.
  std::string name() const;

  /// Returns the name for people, for example `64 connections x 16,384 B`.
  std::string title() const;

  friend bool operator==(const load_case&, const load_case&) = default;
};

/// Turns the short name of any case into the case. Throws std::invalid_argument with a line that
/// says what is accepted.
load_case parse_case(std::string_view name);

/// How much a run is to measure.
enum class extent { quick, standard, full };

/// Returns the cases of a run.
std::vector<load_case> cases_of(extent how_much);

}  // namespace weft::compare
