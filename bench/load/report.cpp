#include "report.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace weft::load {
namespace {

constexpr int exit_could_not_run = 1;
constexpr int exit_went_wrong = 3;
constexpr int exit_signal_base = 128;

double in_seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

double in_microseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

double per_second(std::uint64_t count, std::chrono::nanoseconds time) {
  return time.count() > 0 ? static_cast<double>(count) / in_seconds(time) : 0;
}

double messages_per_second(const options& settings, const tally& t) {
  return settings.mode == load_mode::idle ? 0 : per_second(t.completed, t.measured);
}

double connections_per_second(const options& settings, const tally& t) {
  return settings.mode == load_mode::churn ? per_second(t.completed, t.measured)
                                           : per_second(t.opened, t.connect_time);
}

// Those that the report is about and that came back.
std::uint64_t messages(const tally& t) { return t.latency.count() - t.unfinished; }

bool is_bottleneck(const tally& t) {
  return t.cpu_fraction + t.wait_fraction > bottleneck_fraction;
}

bool has_errors(const tally& t) {
  return std::any_of(t.errors.begin(), t.errors.end(), [](std::uint64_t n) { return n > 0; });
}

// Integers with separators, for they are read by people.
std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, 1, ',');
  return digits;
}

std::string grouped(double number) {
  return grouped(static_cast<std::uint64_t>(std::llround(number)));
}

std::string headline(const options& s, const run_result& result) {
  const tally& t = result.total;
  std::string load = fmt::format("{} connections x {} B", grouped(std::uint64_t{s.connections}),
                                 grouped(std::uint64_t{s.message_bytes}));
  if (s.mode == load_mode::closed || s.mode == load_mode::open) {
    load += fmt::format(", depth {}", s.depth);
  }
  if (s.mode == load_mode::open) load += fmt::format(", {} messages/s intended", s.rate);
  if (s.clients > 1) load += fmt::format(", {} client processes", s.clients);
  const char* verb = s.mode == load_mode::idle ? "held" : "measured";
  return fmt::format("{}  {}: {}; {} {:.2f} s\n", s.where.text(), name_of(s.mode), load, verb,
                     in_seconds(t.measured));
}

std::string rates(const options& s, const tally& t) {
  switch (s.mode) {
  case load_mode::churn:
    return fmt::format("connections  {}, {}/s\n", grouped(messages(t)),
                       grouped(connections_per_second(s, t)));
  case load_mode::idle:
    return fmt::format("connections  {} opened at {}/s, {} lost\n", grouped(t.opened),
                       grouped(connections_per_second(s, t)), grouped(t.lost));
  case load_mode::closed:
  case load_mode::open: break;
  }
  const double rate = messages_per_second(s, t);
  return fmt::format("messages     {}, {}/s, {:.1f} MB/s each way\n", grouped(t.completed),
                     grouped(rate), rate * s.message_bytes / 1e6);
}

std::string latencies(const tally& t) {
  const auto at = [&](double percent) { return in_microseconds(t.latency.percentile(percent)); };
  return fmt::format(
      "latency us   p50 {:.1f}   p90 {:.1f}   p99 {:.1f}   p99.9 {:.1f}   max {:.1f}\n", at(50),
      at(90), at(99), at(99.9), in_microseconds(t.latency.max()));
}

std::string totals(const tally& t) {
  std::string line =
      fmt::format("bytes        {} sent, {} received, {} corrupt\n", grouped(t.bytes_sent),
                  grouped(t.bytes_received), grouped(t.corrupt_bytes));
  if (!has_errors(t)) return line;
  line += "errors      ";
  for (std::size_t code = 0; code < t.errors.size(); ++code) {
    if (t.errors[code] == 0) continue;
    line += fmt::format(" {} {}", grouped(t.errors[code]), name_of_outcome(static_cast<int>(code)));
  }
  return line + "\n";
}

// What became of the messages of an open loop that did not come back.
std::string unfinished_remark(const tally& t) {
  const std::uint64_t unanswered = t.unfinished - t.unsent;
  std::string text;
  if (unanswered > 0) {
    text += fmt::format("{} of {} intended messages never came back", grouped(unanswered),
                        grouped(t.intended));
  }
  if (t.unsent > 0) {
    text += fmt::format("{}{} of {} intended messages were never sent", text.empty() ? "" : ", ",
                        grouped(t.unsent), grouped(t.intended));
  }
  text += ": the load is more than is handled; they count with the time for which they were waited "
          "for\n";
  if (t.overdue > 0) {
    text += fmt::format("{} of the {} messages that came back in the measured time were to start "
                        "before it: they are not in the latency\n",
                        grouped(t.overdue), grouped(t.completed));
  }
  return text;
}

// Lines that are only there when there is something to say.
std::string remarks(const options& s, const run_result& result) {
  const tally& t = result.total;
  std::string lines;
  if (t.slow_connects > 0) {
    lines += fmt::format("{} connections took over 0.5 s until their first reply: is the server's "
                         "listen backlog too short?\n",
                         grouped(t.slow_connects));
  }
  if (t.connect_retries > 0) {
    lines += fmt::format("{} connects were tried again: the listen backlog was full\n",
                         grouped(t.connect_retries));
  }
  if (s.mode == load_mode::open && t.late_starts > 0) {
    lines += fmt::format("{} of {} messages started over 1 ms late; their latency counts from "
                         "when they were to start\n",
                         grouped(t.late_starts), grouped(t.intended));
  }
  if (t.unfinished > 0) lines += unfinished_remark(t);
  if (is_bottleneck(t)) {
    const std::string remedy = t.cpu_fraction > t.wait_fraction
                                   ? fmt::format("--clients {}", 2 * s.clients)
                                   : "a core without other work (taskset)";
    lines += fmt::format("weft-load itself was the bottleneck: a client process used {:.0f} % of "
                         "a core and waited for it {:.0f} % of the time; try {}\n",
                         100 * t.cpu_fraction, 100 * t.wait_fraction, remedy);
  }
  if (result.stopped_by != 0) {
    lines += t.measured.count() > 0
                 ? "interrupted: this is what was measured until then\n"
                 : "interrupted before the measured time: nothing was measured\n";
  }
  return lines;
}

nlohmann::ordered_json latency_object(const tally& t) {
  const auto at = [&](double percent) { return in_microseconds(t.latency.percentile(percent)); };
  return {{"p50", at(50)},
          {"p90", at(90)},
          {"p99", at(99)},
          {"p999", at(99.9)},
          {"max", in_microseconds(t.latency.max())}};
}

nlohmann::ordered_json errors_object(const tally& t) {
  auto errors = nlohmann::ordered_json::object();
  for (std::size_t code = 0; code < t.errors.size(); ++code) {
    if (t.errors[code] > 0) errors[name_of_outcome(static_cast<int>(code))] = t.errors[code];
  }
  return errors;
}

void add_counts(nlohmann::ordered_json& json, const options& s, const tally& t) {
  json["messages"] = messages(t);
  json["completed"] = t.completed;
  json["messages_per_second"] = messages_per_second(s, t);
  json["messages_total"] = t.messages_total;
  json["connections_per_second"] = connections_per_second(s, t);
  json["bytes_sent"] = t.bytes_sent;
  json["bytes_received"] = t.bytes_received;
  json["corrupt_bytes"] = t.corrupt_bytes;
  json["errors"] = errors_object(t);
  json["lost"] = t.lost;
  json["slow_connects"] = t.slow_connects;
  json["connect_retries"] = t.connect_retries;
  json["latency_us"] = latency_object(t);
  const bool open = s.mode == load_mode::open;
  json["intended"] = open ? nlohmann::ordered_json(t.intended) : nullptr;
  json["unfinished"] = open ? nlohmann::ordered_json(t.unfinished) : nullptr;
  json["unsent"] = open ? nlohmann::ordered_json(t.unsent) : nullptr;
  json["overdue"] = open ? nlohmann::ordered_json(t.overdue) : nullptr;
  json["late_starts"] = open ? nlohmann::ordered_json(t.late_starts) : nullptr;
}

}  // namespace

std::string text_report(const options& settings, const run_result& result) {
  const tally& t = result.total;
  std::string lines = headline(settings, result);
  lines += rates(settings, t);
  lines += latencies(t);
  lines += totals(t);
  lines += fmt::format("client CPU   {:.0f} % of a core, waited for it {:.0f} % of the time\n",
                       100 * t.cpu_fraction, 100 * t.wait_fraction);
  return lines + remarks(settings, result);
}

std::string json_report(const options& settings, const run_result& result) {
  const tally& t = result.total;
  const bool open = settings.mode == load_mode::open;
  nlohmann::ordered_json json;
  json["target"] = settings.where.text();
  json["mode"] = name_of(settings.mode);
  json["connections"] = settings.connections;
  json["message_bytes"] = settings.message_bytes;
  json["depth"] = settings.depth;
  json["clients"] = settings.clients;
  json["rate"] = open ? nlohmann::ordered_json(settings.rate) : nullptr;
  json["seconds"] = in_seconds(t.measured);
  json["warm_up_seconds"] = in_seconds(settings.warm_up);
  json["connect_seconds"] = in_seconds(t.connect_time);
  add_counts(json, settings, t);
  const bool server_known = settings.server_pid != 0;
  json["server_cpu_ns"] =
      server_known ? nlohmann::ordered_json(t.server_cpu.count()) : nlohmann::ordered_json(nullptr);
  json["client_cpu_fraction"] = t.cpu_fraction;
  json["client_wait_fraction"] = t.wait_fraction;
  json["bottleneck"] = is_bottleneck(t);
  json["interrupted"] = result.stopped_by != 0;
  return json.dump() + "\n";
}

int exit_code(const run_result& result) {
  if (!result.failure.empty()) return exit_could_not_run;
  if (result.stopped_by != 0) return exit_signal_base + result.stopped_by;
  const tally& t = result.total;
  return t.corrupt_bytes > 0 || has_errors(t) ? exit_went_wrong : 0;
}

}  // namespace weft::load
