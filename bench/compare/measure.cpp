#include "measure.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "failure.hpp"
#include "measure_tasks.hpp"
#include "prime.hpp"
#include "proc.hpp"
#include "strangers.hpp"

namespace weft::compare {
namespace {

using namespace std::chrono_literals;

constexpr const char* load_program = "weft-load";
constexpr auto exchange_patience = 5s;  // for the reply to a first message
constexpr auto start_patience = 10s;    // for the line of a server that has started
// For what the load does before and after it measures; a loaded machine takes its time to start a
// thread for each connection.
constexpr auto load_patience = 30s;
constexpr auto connection_patience = 5ms;
constexpr auto stop_patience = 7s;  // servers give connections in flight 5 s
constexpr auto fixed_cost = 150ms;  // of a sample: two programs started and ended
constexpr auto connection_cost = 60us;
constexpr auto task_cost = 10us;

class measurement {
public:
  measurement(const bench& setup, const load_case& load, const std::string& program,
              offered_rate rate, steady::time_point deadline)
      : setup_{setup}, load_case_{load}, rate_{rate}, deadline_{deadline},
        server_{{setup.folder + "/" + program, "--quiet", "--port", "0"},
                setup.cores.server,
                child::lines_of::out,
                setup.signals},
        server_name_{program} {}

  void run(sample& result) {
    const auto address = server_.wait_for_line("listening on ", within(start_patience));
    if (!address) throw failure{with_last_words(server_name_ + " did not start", server_)};
    exchange_once(*address, within(exchange_patience), setup_.signals);
    load(*address, result);
    const child::ending end = server_.stop(within(stop_patience));
    if (end.killed) throw failure{server_name_ + " did not end on SIGTERM in time"};
    if (end.code != 0) throw failure{with_last_words(server_name_ + " " + end.text(), server_)};
  }

private:
  steady::time_point within(std::chrono::duration<double> patience) const {
    return std::min(deadline_,
                    steady::now() + std::chrono::duration_cast<steady::duration>(patience));
  }

  void load(const std::string& address, sample& result) {
    const stranger_watch strangers{setup_.cores};
    const auto server_begin = server_cpu();
    const auto resident_begin = resident_memory_of(server_.pid());
    const auto kernel_begin = kernel_memory();
    child client{arguments(address), setup_.cores.load, child::lines_of::err, setup_.signals};
    const auto deadline = within(setup_.warm_up + setup_.seconds + load_patience +
                                 load_case_.connections * connection_patience);
    if (load_case_.kind == case_kind::idle && client.wait_for_line("holding", deadline)) {
      const double count = load_case_.connections;
      result.rss_bytes_per_connection =
          per_connection(resident_begin, resident_memory_of(server_.pid()), count);
      result.kernel_bytes_per_connection = per_connection(kernel_begin, kernel_memory(), count);
      result.server_threads = threads_of(server_.pid());
    }
    const auto end = client.wait(deadline);
    check_server();
    if (!end) throw failure{"weft-load did not end in time"};
    result.strangers_cpu_fraction = strangers.fraction(server_cpu() - server_begin + end->cpu);
    result.disturbed = result.strangers_cpu_fraction > disturbing_fraction;
    take_report(client, *end, result);
  }

  std::size_t clients() const {
    constexpr std::size_t most = 256;  // that weft-load accepts
    return std::min({setup_.cores.load.size(), std::size_t{load_case_.connections}, most});
  }

  std::vector<std::string> arguments(const std::string& address) const {
    std::vector<std::string> list{setup_.folder + "/" + load_program,
                                  address,
                                  "--json",
                                  "--connections",
                                  std::to_string(load_case_.connections),
                                  "--message-bytes",
                                  std::to_string(load_case_.message_bytes),
                                  "--seconds",
                                  fmt::format("{}", setup_.seconds.count()),
                                  "--warm-up",
                                  fmt::format("{}", setup_.warm_up.count()),
                                  "--server-pid",
                                  std::to_string(server_.pid())};
    switch (load_case_.kind) {
    case case_kind::churn: list.emplace_back("--churn"); break;
    case case_kind::idle: list.emplace_back("--idle"); break;
    default:
      list.insert(list.end(), {"--depth", std::to_string(load_case_.depth)});
      // A process for each core, for one alone may be slower than the server.
      list.insert(list.end(), {"--clients", std::to_string(clients())});
      if (rate_) list.insert(list.end(), {"--rate", fmt::format("{:.0f}", *rate_)});
      break;
    }
    return list;
  }

  std::chrono::nanoseconds server_cpu() const {
    const auto time = cpu_time_of(server_.pid());
    if (!time) throw failure{"the CPU clock of " + server_name_ + " cannot be read"};
    return *time;
  }

  static std::optional<double> per_connection(std::optional<std::int64_t> begin,
                                              std::optional<std::int64_t> end, double count) {
    if (!begin || !end) return std::nullopt;
    return static_cast<double>(*end - *begin) / count;
  }

  // A load that fails because the server has died is not the load's fault.
  void check_server() {
    if (const auto end = server_.ended()) {
      throw failure{with_last_words(server_name_ + " " + end->text() + " under load", server_)};
    }
  }

  void take_report(const child& client, const child::ending& end, sample& result) const {
    const std::string report = client.out();
    if (report.empty()) throw failure{with_last_words("weft-load " + end.text(), client)};
    try {
      const auto json = nlohmann::json::parse(report);
      check_bytes(json);
      if (end.killed || end.code != 0) {
        throw failure{with_last_words("weft-load " + end.text(), client)};
      }
      read_report(json, result);
    } catch (const nlohmann::json::exception& error) {
      throw failure{std::string{"the report of weft-load cannot be read: "} + error.what()};
    }
  }

  static void check_bytes(const nlohmann::json& json) {
    const auto corrupt = json.at("corrupt_bytes").get<std::uint64_t>();
    const auto& errors = json.at("errors");
    if (corrupt > 0) throw failure{fmt::format("{} bytes came back wrong", corrupt)};
    if (errors.empty()) return;
    std::string list;
    for (const auto& [kind, count] : errors.items()) {
      list += fmt::format("{}{} {}", list.empty() ? "" : ", ", count.get<std::uint64_t>(), kind);
    }
    throw failure{"connections broke: " + list};
  }

  void read_report(const nlohmann::json& json, sample& result) const {
    result.seconds = json.at("seconds").get<double>();
    result.client_cpu_fraction = json.at("client_cpu_fraction").get<double>();
    result.client_wait_fraction = json.at("client_wait_fraction").get<double>();
    result.client_bottleneck = json.at("bottleneck").get<bool>();
    const double server_cpu_ns = json.at("server_cpu_ns").get<double>();
    result.server_cpu_fraction = server_cpu_ns / (result.seconds * 1e9);
    if (load_case_.kind == case_kind::idle) return;
    result.offered_per_second = rate_;
    result.requests = json.at("messages").get<std::uint64_t>();
    if (result.requests == 0) {
      result.starved = result.disturbed;
      throw failure{result.starved ? "others used the cores: no message came back in the time"
                                   : "no message came back in the measured time"};
    }
    result.cpu_ns_per_request = server_cpu_ns / static_cast<double>(result.requests);
    result.requests_per_second = static_cast<double>(result.requests) / result.seconds;
    const auto& latency = json.at("latency_us");
    result.p50_us = latency.at("p50").get<double>();
    result.p90_us = latency.at("p90").get<double>();
    result.p99_us = latency.at("p99").get<double>();
    result.p999_us = latency.at("p999").get<double>();
    result.max_us = latency.at("max").get<double>();
  }

  const bench& setup_;
  const load_case& load_case_;
  const offered_rate rate_;
  const steady::time_point deadline_;
  child server_;
  const std::string server_name_;
};

}  // namespace

std::chrono::duration<double> expected_time(const bench& setup, const load_case& load) {
  if (load.kind == case_kind::parked) return fixed_cost + load.connections * task_cost;
  if (is_task_load(load.kind)) return fixed_cost + setup.warm_up + setup.seconds;
  const std::chrono::duration<double> warm_up =
      load.kind == case_kind::idle ? std::chrono::duration<double>{} : setup.warm_up;
  return fixed_cost + load.connections * connection_cost + warm_up + setup.seconds;
}

sample measure(const bench& setup, const load_case& load, const server& what, offered_rate rate,
               steady::time_point deadline) {
  sample result;
  result.case_name = load.name();
  result.server = what.name;
  const std::string program = program_of(what, load);
  try {
    if (is_task_load(load.kind)) {
      measure_tasks(setup, load, program, deadline, result);
    } else {
      measurement{setup, load, program, rate, deadline}.run(result);
    }
  } catch (const failure& error) {
    result.error = error.what();
  } catch (const std::system_error& error) {
    result.error = error.what();
  }
  return result;
}

}  // namespace weft::compare
