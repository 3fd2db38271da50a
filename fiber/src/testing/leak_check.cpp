#include <algorithm>
#include <array>
#include <cstdlib>
#include <dirent.h>
#include <unistd.h>
#include <utility>

#include <weft/fiber/testing/leak_check.hpp>

#include "../scheduler.hpp"

namespace weft::testing {
namespace {

std::string target_of(int fd) {
  std::array<char, 256> target;
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = ::readlink(link.c_str(), target.data(), target.size());
  return size < 0 ? "?" : std::string(target.data(), static_cast<std::size_t>(size));
}

}  // namespace

std::vector<open_descriptor> open_descriptors() {
  std::vector<open_descriptor> found;
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return found;
  while (const dirent* const entry = ::readdir(folder)) {
    if (entry->d_name[0] == '.') continue;
    const int fd = std::atoi(entry->d_name);
    if (fd != ::dirfd(folder)) found.push_back({fd, target_of(fd)});
  }
  ::closedir(folder);
  std::ranges::sort(found, {}, &open_descriptor::number);
  return found;
}

holdings current_holdings() {
  detail::scheduler* const worker = detail::scheduler::running();
  return worker != nullptr ? worker->count_holdings() : holdings{};
}

leak_check::leak_check(report where) : report_(std::move(where)), held_(current_holdings()) {
  if (!detail::on_worker()) descriptors_ = open_descriptors();
}

leak_check::~leak_check() {
  const holdings now = current_holdings();
  const auto compare = [this](std::size_t before, std::size_t after, const char* what) {
    if (after > before) report_(std::to_string(after - before) + " " + what + " too many");
  };
  compare(held_.fibers, now.fibers, "fibers");
  compare(held_.waiting, now.waiting, "waiting fibers");
  compare(held_.stacks, now.stacks, "stacks");
  compare(held_.timers, now.timers, "timers");
  compare(held_.scopes, now.scopes, "cancel scopes");
  if (now.driver_has_waiters && !held_.driver_has_waiters) report_("waits in the driver");
  if (detail::on_worker()) return;
  for (const open_descriptor& each : open_descriptors()) {
    if (std::ranges::find(descriptors_, each) == descriptors_.end()) {
      report_("descriptor " + std::to_string(each.number) + " left open: " + each.target);
    }
  }
}

}  // namespace weft::testing
