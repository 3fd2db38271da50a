#include "report.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <ranges>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace weft::ps {
namespace {

const char* name_of(fiber_state state) noexcept {
  switch (state) {
  case fiber_state::not_started: return "not started";
  case fiber_state::ready: return "ready";
  case fiber_state::runs: return "runs";
  case fiber_state::waits: return "waits";
  case fiber_state::ended: break;
  }
  return "ended";
}

const char* kind_of(const fiber_info& fiber) noexcept {
  if (fiber.is_main) return "main";
  return fiber.is_coroutine ? "coroutine" : "fiber";
}

// A name may have any bytes; those that would move the cursor are not shown.
std::string printable(std::string text) {
  const auto is_control = [](char each) {
    return static_cast<unsigned char>(each) < ' ' || each == '\x7f';
  };
  std::ranges::replace_if(text, is_control, '?');
  return text;
}

constexpr std::size_t columns = 7;
using row = std::array<std::string, columns>;

row row_of(const fiber_info& fiber, std::size_t depth) {
  const bool waits = fiber.state == fiber_state::waits;
  const std::string origin = fiber.spawned_by != 0 ? fmt::format("{}, ", fiber.spawned_by) : "";
  constexpr std::size_t most_indented = 40;
  return {fmt::format("{}{}", std::string(2 * std::min(depth, most_indented), ' '), fiber.id),
          fmt::format("{}.{}", fiber.runtime, fiber.worker),
          kind_of(fiber),
          waits ? fiber.wait : name_of(fiber.state),
          waits ? fmt::format("{:.1f}", fiber.waiting_seconds) : "",
          printable(fiber.name),
          fiber.is_main ? "" : origin + fiber.place};
}

std::string text_of(std::vector<row> rows) {
  rows.insert(rows.begin(), {"ID", "WORKER", "KIND", "STATE", "FOR s", "NAME", "SPAWNED BY, AT"});
  std::array<std::size_t, columns> widths{};
  for (const row& each : rows) {
    for (std::size_t i = 0; i < columns; ++i) widths[i] = std::max(widths[i], each[i].size());
  }
  std::string result;
  for (const row& each : rows) {
    std::string line;
    for (std::size_t i = 0; i < columns; ++i) line += fmt::format("{:<{}}  ", each[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    result += line + '\n';
  }
  return result;
}

}  // namespace

std::string table_of(const std::vector<fiber_info>& fibers) {
  std::vector<row> rows;
  for (const fiber_info& each : fibers) rows.push_back(row_of(each, 0));
  return text_of(std::move(rows));
}

std::string tree_of(const std::vector<fiber_info>& fibers) {
  std::set<std::uint64_t> known;
  for (const fiber_info& each : fibers) known.insert(each.id);
  // By 0: those that have no spawner, or one that has gone.
  std::map<std::uint64_t, std::vector<const fiber_info*>> children;
  for (const fiber_info& each : fibers) {
    children[known.contains(each.spawned_by) ? each.spawned_by : 0].push_back(&each);
  }
  std::vector<row> rows;
  // The next to print are at the back. No recursion: a chain of spawners may be long.
  std::vector<std::pair<const fiber_info*, std::size_t>> left;
  const auto push_children_of = [&](std::uint64_t id, std::size_t depth) {
    for (const fiber_info* each : std::views::reverse(children[id])) left.emplace_back(each, depth);
  };
  push_children_of(0, 0);
  while (!left.empty()) {
    const auto [fiber, depth] = left.back();
    left.pop_back();
    rows.push_back(row_of(*fiber, depth));
    push_children_of(fiber->id, depth + 1);
  }
  return text_of(std::move(rows));
}

std::string json_of(const std::vector<fiber_info>& fibers) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const fiber_info& each : fibers) {
    nlohmann::ordered_json object{{"id", each.id},         {"runtime", each.runtime},
                                  {"worker", each.worker}, {"name", each.name},
                                  {"kind", kind_of(each)}, {"state", name_of(each.state)}};
    if (each.state == fiber_state::waits) {
      object["waits_for"] = each.wait;
      object["waiting_seconds"] = each.waiting_seconds;
    }
    object["spawned_by"] = each.spawned_by;
    object["spawned_at"] = each.place;
    all.push_back(std::move(object));
  }
  // Names may be of any bytes.
  return all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
}

}  // namespace weft::ps
