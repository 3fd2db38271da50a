#include <algorithm>
#include <array>
#include <cstdlib>
#include <dirent.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <weft/fiber/cancel_scope.hpp>
#include <weft/fiber/error.hpp>
#include <weft/fiber/fiber.hpp>
#include <weft/fiber/runtime.hpp>
#include <weft/fiber/testing/leak_check.hpp>

#include "../scheduler.hpp"
#include "../worker_group.hpp"

namespace weft::testing {
namespace {

std::string target_of(int fd) {
  std::array<char, 256> target;
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = ::readlink(link.c_str(), target.data(), target.size());
  return size < 0 ? "?" : std::string(target.data(), static_cast<std::size_t>(size));
}

// What the worker of the running fiber holds beside that fiber.
holdings count_the_others() noexcept {
  holdings found = detail::scheduler::running()->count_holdings();
  --found.fibers;
  --found.stacks;
  return found;
}

// By a fiber there, which no other thread can do for it. A fiber that has ended runs on to the next
// one, without a wait in between: when this one runs, those that were joined have left their stacks
// too. Nothing of a worker that is being ended, whether it refuses the fiber or never runs it.
holdings count_on(std::size_t worker) {
  holdings found;
  std::error_code ec;
  fiber<> counter = spawn_on(
      worker, {.name = "leak check"}, [&] { found = count_the_others(); }, ec);
  if (ec == errc::closed || ec == errc::cancelled) return {};
  if (ec) throw std::system_error(ec, "weft::testing::current_holdings");
  const shield undisturbed;
  counter.join();
  return found;
}

void add(holdings& sum, const holdings& more) noexcept {
  sum.fibers += more.fibers;
  sum.waiting += more.waiting;
  sum.stacks += more.stacks;
  sum.timers += more.timers;
  sum.scopes += more.scopes;
  sum.driver_has_waiters = sum.driver_has_waiters || more.driver_has_waiters;
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
  detail::scheduler* const here = detail::scheduler::running();
  if (here == nullptr) return {};
  holdings sum = here->count_holdings();
  for (std::size_t i = 0; i < here->siblings().size(); ++i) {
    if (i != here->index()) add(sum, count_on(i));
  }
  return sum;
}

leak_check::leak_check(report where) : report_(std::move(where)), held_(current_holdings()) {
  if (!detail::on_worker()) descriptors_ = open_descriptors();
}

leak_check::~leak_check() {
  if (detail::on_worker()) {
    report_holdings();
  } else {
    report_descriptors();
  }
}

void leak_check::report_holdings() const {
  holdings now;
  try {
    now = current_holdings();
  } catch (const std::system_error& error) {
    return report_(std::string{"what is left cannot be counted: "} + error.what());
  }
  const auto compare = [this](std::size_t before, std::size_t after, const char* what) {
    if (after > before) report_(std::to_string(after - before) + " " + what + " too many");
  };
  compare(held_.fibers, now.fibers, "fibers");
  compare(held_.waiting, now.waiting, "waiting fibers");
  compare(held_.stacks, now.stacks, "stacks");
  compare(held_.timers, now.timers, "timers");
  compare(held_.scopes, now.scopes, "cancel scopes");
  if (now.driver_has_waiters && !held_.driver_has_waiters) report_("waits in the driver");
}

void leak_check::report_descriptors() const {
  for (const open_descriptor& each : open_descriptors()) {
    if (std::ranges::find(descriptors_, each) == descriptors_.end()) {
      report_("descriptor " + std::to_string(each.number) + " left open: " + each.target);
    }
  }
}

}  // namespace weft::testing
