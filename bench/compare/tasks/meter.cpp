#include "meter.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <unistd.h>

#include <fmt/format.h>

#include <weft/tools/command_line.hpp>
#include <weft/tools/standard_streams.hpp>

#include "allocations.hpp"

namespace task_bench {
namespace {

using steady = std::chrono::steady_clock;

std::chrono::nanoseconds cpu_time() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

std::int64_t resident_bytes() {
  std::ifstream statm{"/proc/self/statm"};  // in pages: all, resident, ...
  std::int64_t all = 0;
  std::int64_t resident = 0;
  statm >> all >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

const char* name_of(load_kind what) {
  switch (what) {
  case load_kind::parked: return "parked";
  case load_kind::spawn: return "spawn";
  case load_kind::chain: break;
  }
  return "chain";
}

struct raw_options {
  std::optional<std::uint32_t> parked;
  std::optional<std::uint32_t> spawn;
  std::optional<std::uint32_t> chain;
  double warm_up = 0.1;
  double seconds = 0.5;
};

load chosen(const raw_options& raw) {
  load wanted;
  wanted.warm_up = std::chrono::duration<double>{raw.warm_up};
  wanted.seconds = std::chrono::duration<double>{raw.seconds};
  unsigned given = 0;
  const auto take = [&](const std::optional<std::uint32_t>& count, load_kind what) {
    if (!count) return;
    ++given;
    wanted.what = what;
    wanted.count = *count;
  };
  take(raw.parked, load_kind::parked);
  take(raw.spawn, load_kind::spawn);
  take(raw.chain, load_kind::chain);
  if (given != 1) {
    throw weft::tools::bad_argument("exactly one of --parked, --spawn and --chain is accepted");
  }
  return wanted;
}

std::optional<int> parse(const char* program, const std::string& description, int argc, char** argv,
                         load& wanted) {
  weft::tools::command_line arguments{program, description};
  raw_options raw;
  arguments.add_number("--parked", raw.parked, {1, 10'000'000, "a whole number"},
                       "measure the memory of so many tasks that wait");
  arguments.add_number("--spawn", raw.spawn, {1, 1'000'000, "a whole number"},
                       "measure how long so many tasks take to begin and end");
  arguments.add_number("--chain", raw.chain, {1, 1000, "a whole number"},
                       "measure tasks that give way so many calls deep");
  arguments
      .add_number("--warm-up", raw.warm_up, {0, 3600, "a number of seconds"},
                  "seconds before the measurement")
      .shows_default();
  arguments
      .add_number("--seconds", raw.seconds, {0.01, 3600, "a number of seconds"},
                  "seconds that are measured")
      .shows_default();
  return arguments.parse(argc, argv, [&] { wanted = chosen(raw); });
}

}  // namespace

meter::reading meter::read() { return {cpu_time(), allocations()}; }

meter::footprint meter::read_footprint() {
  std::ifstream maps{"/proc/self/maps"};  // a line for each
  const std::filesystem::directory_iterator threads{"/proc/self/task"};
  return {resident_bytes(), std::count(std::istreambuf_iterator<char>{maps}, {}, '\n'),
          std::distance(begin(threads), end(threads))};
}

void meter::before_tasks() { before_ = read_footprint(); }

void meter::all_parked() { parked_ = read_footprint(); }

bool meter::more(std::uint32_t operations) {
  const auto now = steady::now();
  if (!begin_) begin_ = now;
  if (warm_) operations_ += under_way_;
  under_way_ = operations;
  if (!warm_ && now - *begin_ >= load_.warm_up) {
    warm_ = true;
    first_ = read();
  }
  if (now - *begin_ < load_.warm_up + load_.seconds || operations_ == 0) return true;
  last_ = read();
  return false;
}

int meter::report(const char* program) const {
  std::string line =
      fmt::format(R"({{"load": "{}", "count": {})", name_of(load_.what), load_.count);
  if (load_.what == load_kind::parked) {
    const auto per_task = [&](std::int64_t all) { return static_cast<double>(all) / load_.count; };
    line +=
        fmt::format(R"(, "rss_bytes_per_task": {:.1f}, "mappings_per_task": {:.4f}, "threads": {})",
                    per_task(parked_.resident_bytes - before_.resident_bytes),
                    per_task(parked_.mappings - before_.mappings), parked_.threads);
  } else {
    const auto per_operation = [&](auto all) {
      return static_cast<double>(all) / static_cast<double>(operations_);
    };
    line += fmt::format(R"(, "operations": {}, "cpu_ns_per_operation": {:.2f}, )"
                        R"("allocations_per_operation": {:.3f})",
                        operations_, per_operation((last_.cpu - first_.cpu).count()),
                        per_operation(last_.allocations - first_.allocations));
  }
  if (weft::tools::write_out(line + "}\n")) return 0;
  std::fputs(fmt::format("{}: cannot write to stdout\n", program).c_str(), stderr);
  return weft::tools::exit_failed;
}

int run(const char* program, const std::string& description, int argc, char** argv,
        const actions& all) {
  weft::tools::occupy_closed_streams(weft::tools::closed_output::fails);
  load wanted;
  if (const auto code = parse(program, description, argc, argv, wanted)) return *code;
  meter measured{wanted};
  try {
    switch (wanted.what) {
    case load_kind::parked: all.parked(measured); break;
    case load_kind::spawn: all.spawn(measured); break;
    case load_kind::chain: all.chain(measured); break;
    }
  } catch (const std::exception& error) {
    std::fputs(fmt::format("{}: {}\n", program, error.what()).c_str(), stderr);
    return weft::tools::exit_failed;
  }
  return measured.report(program);
}

}  // namespace task_bench
