#include "rows.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
#include <optional>
#include <random>
#include <string_view>
#include <thread>
#include <unistd.h>

#include "../micro_bench.hpp"
#include "mxcsr.hpp"

namespace weft::bench {
namespace {

std::string name_of(const char* row, const char* peer) { return std::string{row} + '/' + peer; }

std::map<std::string, std::function<double()>>& figures_of_processes() {
  static std::map<std::string, std::function<double()>> all;
  return all;
}

// Where this program lies.
std::filesystem::path program_folder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path();
}

// What the command prints; nothing if it fails.
std::optional<std::string> output_of(const std::string& command) {
  std::FILE* const answer = ::popen(command.c_str(), "re");
  if (answer == nullptr) return std::nullopt;
  std::string text;
  for (int c = std::fgetc(answer); c != EOF; c = std::fgetc(answer)) {
    text += static_cast<char>(c);
  }
  if (::pclose(answer) != 0) return std::nullopt;
  return text;
}

// The number that stands behind `"key": `.
std::optional<double> member_of(const std::string& json, const std::string& key) {
  const std::string before = '"' + key + "\": ";
  const auto found = json.find(before);
  if (found == std::string::npos) return std::nullopt;
  double value = 0;
  const char* const begin = json.data() + found + before.size();
  const auto [end, ec] = std::from_chars(begin, json.data() + json.size(), value);
  return ec == std::errc{} ? std::optional{value} : std::nullopt;
}

// Takes over the figure that a process prints.
void take_over(benchmark::State& state, const char* row, const std::string& command,
               const std::string& key) {
  double figure = 0;
  for (auto _ : state) {
    const auto text = output_of(command);
    const auto value = text ? member_of(*text, key) : std::nullopt;
    if (!value) {
      state.SkipWithError(("no figure from: " + command).c_str());
      return;
    }
    figure = *value;
    state.SetIterationTime(figure * 1e-9);
  }
  if (std::string_view{row} == row::parked) state.counters["bytes"] = figure;
}

void add_command(const char* row, const char* peer, const std::string& command,
                 const std::string& key) {
  benchmark::RegisterBenchmark(
      name_of(row, peer).c_str(),
      [=](benchmark::State& state) { take_over(state, row, command, key); })
      ->Iterations(1)
      ->UseManualTime();
}

double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

benchmark::internal::Benchmark* add(const char* row, const char* peer, measurement measure) {
  const auto on_own_thread = [measure = std::move(measure)](benchmark::State& state) {
    std::thread{[&] {
      // Once it has calculated it stays so. From the start, so that it is the same on all stacks.
      write_mxcsr(read_mxcsr() | mxcsr_inexact);
      state.SetLabel("mxcsr " + text_of_mxcsr());
      try {
        measure(state);
      } catch (const std::exception& error) {
        state.SkipWithError(error.what());
      }
    }}.join();
  };
  return benchmark::RegisterBenchmark(name_of(row, peer).c_str(), on_own_thread);
}

void add_in_process(const char* row, const char* peer, std::function<double()> measure) {
  const std::string name = name_of(row, peer);
  figures_of_processes().emplace(name, std::move(measure));
  add_command(row, peer, "exec /proc/$PPID/exe --measure=" + name, "figure");
}

int measure_in_this_process(const std::string& name) {
  const auto found = figures_of_processes().find(name);
  if (found == figures_of_processes().end()) {
    std::fprintf(stderr, "peer_bench: there is no figure '%s'\n", name.c_str());
    return 2;
  }
  try {
    return std::printf("{\"figure\": %.1f}\n", found->second()) < 0 ? 1 : 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "peer_bench: %s: %s\n", name.c_str(), error.what());
    return 1;
  }
}

void add_program(const char* row, const char* peer, const std::string& program,
                 const std::string& arguments, const std::string& key, const char* package) {
  const auto path = program_folder() / program;
  if (std::filesystem::exists(path)) {
    add_command(row, peer, "exec '" + path.string() + "' " + arguments, key);
    return;
  }
  benchmark::RegisterBenchmark(name_of(row, peer).c_str(), [package](benchmark::State& state) {
    state.SkipWithError((std::string{"not installed: "} + package).c_str());
  });
}

void add_missing(const char* peer, const char* package) {
  for (const char* const each : row::all) {
    benchmark::RegisterBenchmark(name_of(each, peer).c_str(), [package](benchmark::State& state) {
      state.SkipWithError((std::string{"not installed: "} + package).c_str());
    });
  }
}

std::vector<std::size_t> waking_order(std::size_t count, bool random) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (random) std::shuffle(order.begin(), order.end(), std::mt19937{1});
  return order;
}

double cpu_of_a_sleep(const std::uint64_t& sleeps, const std::function<void(double)>& wait) {
  wait(is_brief() ? 0.1 : 1);
  const double before = cpu_seconds();
  const std::uint64_t sleeps_before = sleeps;
  wait(is_brief() ? 0.1 : 3);
  return (cpu_seconds() - before) * 1e9 / static_cast<double>(sleeps - sleeps_before);
}

double resident_bytes() {
  std::ifstream statm{"/proc/self/statm"};  // in pages: all, resident, ... (man 5 proc)
  double all = 0;
  double resident = 0;
  statm >> all >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

}  // namespace weft::bench
