#include "proc.hpp"

#include <array>
#include <charconv>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string_view>
#include <sys/resource.h>
#include <unistd.h>

namespace weft::compare {
namespace {

constexpr std::int64_t kibibyte = 1024;

// Reads `Name:   123 kB` lines; returns the sum of the wanted ones, nothing if one is missing.
template <std::size_t Count>
std::optional<std::int64_t> sum_of_lines(const std::string& path,
                                         const std::array<std::string_view, Count>& wanted) {
  std::ifstream file{path};
  std::int64_t sum = 0;
  std::size_t found = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words{line};
    std::string name;
    std::int64_t kilobytes = 0;
    if (!(words >> name >> kilobytes)) continue;
    for (const std::string_view each : wanted) {
      if (name != each) continue;
      sum += kilobytes * kibibyte;
      ++found;
    }
  }
  if (found != Count) return std::nullopt;
  return sum;
}

std::chrono::nanoseconds ticks(std::int64_t count) {
  static const std::int64_t per_second = ::sysconf(_SC_CLK_TCK);
  return std::chrono::nanoseconds{count * (1'000'000'000 / per_second)};
}

bool is_of(const core_set& cores, const std::string& name) {
  for (const unsigned core : cores) {
    if (name == "cpu" + std::to_string(core)) return true;
  }
  return false;
}

// Returns the process number of the kernel thread of each core; empty where they cannot be seen,
// as in a container.
const std::map<unsigned, pid_t>& network_threads() {
  static const std::map<unsigned, pid_t> found = [] {
    constexpr std::string_view prefix = "ksoftirqd/";
    std::map<unsigned, pid_t> threads;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc", ignored}) {
      const std::string name = first_line(entry.path().string() + "/comm");
      if (!name.starts_with(prefix)) continue;
      threads[static_cast<unsigned>(std::stoul(name.substr(prefix.size())))] =
          std::stoi(entry.path().filename().string());
    }
    return threads;
  }();
  return found;
}

}  // namespace

std::string first_line(const std::string& path) {
  std::ifstream file{path};
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<std::chrono::nanoseconds> cpu_time_of(pid_t process) {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(process, &clock) != 0 || ::clock_gettime(clock, &time) != 0) {
    return std::nullopt;
  }
  return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

std::optional<std::int64_t> resident_memory_of(pid_t process) {
  using namespace std::string_view_literals;
  return sum_of_lines("/proc/" + std::to_string(process) + "/smaps_rollup", std::array{"Rss:"sv});
}

std::optional<double> threads_of(pid_t process) {
  std::error_code error;
  const std::filesystem::directory_iterator all{"/proc/" + std::to_string(process) + "/task",
                                                error};
  if (error) return std::nullopt;
  return static_cast<double>(std::distance(begin(all), end(all)));
}

std::optional<std::int64_t> kernel_memory() {
  using namespace std::string_view_literals;
  return sum_of_lines("/proc/meminfo", std::array{"Slab:"sv, "KernelStack:"sv, "PageTables:"sv});
}

std::uint64_t descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);  // cannot fail with these arguments
  return limit.rlim_max;
}

void raise_descriptor_limit() noexcept {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);  // neither can fail with these arguments
}

core_use use_of(const core_set& cores) {
  std::ifstream file{"/proc/stat"};
  core_use result;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words{line};
    std::string name;
    // As proc(5) has them: user nice system idle iowait irq softirq steal.
    std::array<std::int64_t, 8> field{};
    words >> name;
    if (!is_of(cores, name)) continue;
    for (std::int64_t& each : field) words >> each;
    result.busy += ticks(field[0] + field[1] + field[2] + field[5] + field[6]);
    result.stolen += ticks(field[7]);
  }
  return result;
}

std::chrono::nanoseconds network_threads_cpu(const core_set& cores) {
  std::chrono::nanoseconds sum{};
  for (const auto& [core, thread] : network_threads()) {
    for (const unsigned wanted : cores) {
      if (core == wanted) sum += cpu_time_of(thread).value_or(std::chrono::nanoseconds{});
    }
  }
  return sum;
}

}  // namespace weft::compare
