#include "environment.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sys/utsname.h>
#include <unistd.h>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "build_commit.hpp"
#include "proc.hpp"

namespace weft::compare {
namespace {

constexpr const char* unknown = "unknown";

std::string or_unknown(const std::string& text) { return text.empty() ? unknown : text; }

std::string kernel() {
  utsname name{};
  if (::uname(&name) != 0) return unknown;
  return fmt::format("{} {}", name.sysname, name.release);
}

std::string cpu_model() {
  std::ifstream file{"/proc/cpuinfo"};
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return unknown;
}

std::string compiler() {
#if defined(__clang__)
  return std::string{"clang "} + __clang_version__;
#else
  return std::string{"g++ "} + __VERSION__;
#endif
}

std::map<std::string, std::string> mitigations() {
  std::map<std::string, std::string> found;
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::directory_iterator{"/sys/devices/system/cpu/vulnerabilities", ignored}) {
    found[entry.path().filename().string()] = first_line(entry.path().string());
  }
  return found;
}

// What the peers are made of, as far as it is installed: "golang-go 2:1.19~1, ...".
std::string packages() {
  const auto close = [](std::FILE* pipe) { ::pclose(pipe); };
  const std::unique_ptr<std::FILE, decltype(close)> pipe{
      ::popen(
          "dpkg-query --show --showformat='${Package} ${Version}\\n' libboost1.81-dev golang-go "
          "libst-dev python3 python3-gevent python3-uvloop 2>/dev/null",
          "re"),
      close};
  std::string all;
  std::array<char, 256> line;
  while (pipe && std::fgets(line.data(), line.size(), pipe.get()) != nullptr) {
    std::string each{line.data()};
    while (!each.empty() && each.back() <= ' ') each.pop_back();
    if (!each.empty()) all += (all.empty() ? "" : ", ") + each;
  }
  return all;
}

// In a few words: how many are on, and what is left open.
std::string in_short(const std::map<std::string, std::string>& all) {
  if (all.empty()) return unknown;
  unsigned on = 0;
  std::string open;
  for (const auto& [weakness, state] : all) {
    if (state.starts_with("Mitigation")) ++on;
    if (state.starts_with("Vulnerable")) open += (open.empty() ? "" : ", ") + weakness;
  }
  return fmt::format("{} on{}", on, open.empty() ? "" : ", off: " + open);
}

}  // namespace

environment read_environment() {
  environment result;
  result.date = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  result.kernel = kernel();
  result.cpu = cpu_model();
  result.cores = static_cast<unsigned>(::sysconf(_SC_NPROCESSORS_ONLN));
  result.compiler = compiler();
  result.flags = WEFT_COMPARE_FLAGS;
  result.build_type = or_unknown(WEFT_COMPARE_BUILD_TYPE);
  result.governor = or_unknown(first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"));
  result.mitigations = mitigations();
  result.packages = or_unknown(packages());
  result.commit = or_unknown(WEFT_COMPARE_COMMIT);
  return result;
}

std::string environment::text() const {
  return fmt::format("{}, {} x {}, {}, governor {}, mitigations {}\n"
                     "commit {}, {} build by {}{}{}\n",
                     date, cores, cpu, kernel, governor, in_short(mitigations), commit, build_type,
                     compiler, flags.empty() ? "" : ", ", flags);
}

}  // namespace weft::compare
