#include "faults.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <system_error>
#include <unistd.h>

namespace weft::test {
namespace {

struct description {
  const char* name;
  std::array<int, 6> errors;  // up to the first 0
};

// From the manual pages; EINTR and EAGAIN of what moves data stand in struck_at_random().
constexpr std::array<description, call_count> descriptions{{
    {"operator new", {ENOMEM}},
    {"mmap", {ENOMEM}},
    {"mprotect", {ENOMEM}},
    {"madvise", {EINVAL, EAGAIN, ENOMEM}},
    {"sigaltstack", {ENOMEM}},
    {"pthread_create", {EAGAIN}},
    {"pthread_getattr_np", {ENOMEM}},
    {"membarrier", {EPERM}},
    {"futex wait", {EINTR, EAGAIN}},
    {"epoll_create1", {EMFILE, ENFILE, ENOMEM}},
    {"epoll_ctl", {ENOMEM, ENOSPC}},
    {"epoll_wait", {EINTR}},
    {"eventfd", {EMFILE, ENFILE, ENOMEM}},
    {"socket", {EMFILE, ENFILE, ENOBUFS, ENOMEM}},
    {"bind", {EADDRINUSE, ENOMEM}},
    {"listen", {EADDRINUSE}},
    {"lstat", {ENOMEM}},
    {"connect", {EINTR, EAGAIN, ECONNREFUSED, ENETUNREACH}},
    {"accept4", {EINTR, EAGAIN, ECONNABORTED, EMFILE, ENFILE, ENOBUFS}},
    {"getsockopt", {ENOBUFS}},
    {"setsockopt", {ENOBUFS}},
    {"getsockname", {ENOBUFS}},
    {"getpeername", {ENOBUFS}},
    {"shutdown", {ENOTCONN}},
    {"fcntl", {EPERM}},
    {"recv", {EINTR, EAGAIN, ENOMEM, ECONNRESET}},
    {"send", {EINTR, EAGAIN, ENOBUFS, EPIPE}},
    {"sendto", {EINTR, EAGAIN, ENOBUFS}},
    {"recvmsg", {EINTR, EAGAIN, ENOMEM}},
    {"poll", {EINTR, ENOMEM}},
    {"ppoll", {EINTR, ENOMEM}},
    {"close", {EINTR}},
}};

enum class mode : std::uint8_t { off, counts, as_planned, at_random };

// Written while `now` is off, or by the thread that is alone; `now` publishes them.
std::array<fault, 2> planned;
std::uint64_t seed = 0;
unsigned rarity = 1;

// The release store in begin() pairs with the load in next_strike(): the plan is seen.
std::atomic<mode> now{mode::off};
// Relaxed, all of them: only the values count.
std::atomic<unsigned> undisturbed_now{0};
std::array<std::atomic<std::uint64_t>, call_count> counts;
std::atomic<std::uint64_t> moving_calls{0};
std::atomic<std::uint64_t> strikes{0};
std::atomic<std::int64_t> allocations{0};
std::atomic<std::int64_t> mapped_bytes{0};

// What a process that ends by SIGABRT says: composed before, for a handler of a signal may not.
std::array<char, 200> last_words;
struct sigaction former_action;

extern "C" void weft_tell_fault(int signal) {
  const std::size_t size = ::strnlen(last_words.data(), last_words.size());
  if (::write(STDERR_FILENO, last_words.data(), size) < 0) ::_exit(1);
  ::sigaction(signal, &former_action, nullptr);
  ::raise(signal);
}

void begin(mode next, const std::string& words) {
  std::snprintf(last_words.data(), last_words.size(), "while this was injected: %s\n",
                words.c_str());

  struct sigaction tell {};

  tell.sa_handler = weft_tell_fault;
  ::sigaction(SIGABRT, &tell, &former_action);
  for (auto& each : counts) each.store(0, std::memory_order_relaxed);
  moving_calls.store(0, std::memory_order_relaxed);
  strikes.store(0, std::memory_order_relaxed);
  now.store(next, std::memory_order_release);
}

strike strike_as_planned(call which, std::uint64_t number) noexcept {
  for (const fault& each : planned) {
    const bool is_meant = which == each.which && number >= each.first;
    if (is_meant && number - each.first < each.in_a_row) return each.by;
  }
  return {};
}

// splitmix64: as many different numbers as there are calls, and the same for the same seed.
std::uint64_t random_number(std::uint64_t index) noexcept {
  std::uint64_t x = seed + (index + 1) * 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// Whether such a call may be interrupted, find nothing, or move less than it could.
bool moves_data(call which) noexcept {
  switch (which) {
  case call::recv:
  case call::send:
  case call::sendto:
  case call::recvmsg:
  case call::accept4:
  case call::connect:
  case call::epoll_wait: return true;
  default: return false;
  }
}

strike strike_at_random(call which) noexcept {
  if (!moves_data(which)) return {};
  const std::uint64_t number = random_number(moving_calls.fetch_add(1, std::memory_order_relaxed));
  if (number % rarity != 0) return {};
  switch ((number >> 32) % 4) {
  case 0: return {effect::fails, EINTR};
  case 1: return {effect::moves_one, 0};
  case 2: return {effect::moves_half, 0};
  default:
    if (which == call::epoll_wait) return {effect::fails, EINTR};
    return {effect::fails, EAGAIN};
  }
}

std::size_t index_of(call which) noexcept { return static_cast<std::size_t>(which); }

}  // namespace

const char* name_of(call which) noexcept { return descriptions[index_of(which)].name; }

std::span<const int> errors_of(call which) noexcept {
  const auto& all = descriptions[index_of(which)].errors;
  const auto end = std::ranges::find(all, 0);
  return {all.data(), static_cast<std::size_t>(end - all.begin())};
}

std::string to_string(const fault& what) {
  std::string text = std::string{name_of(what.which)} + " no. " + std::to_string(what.first);
  if (what.in_a_row > 1) text += " and the next " + std::to_string(what.in_a_row - 1);
  switch (what.by.what) {
  case effect::none: return text + " does as ever";
  case effect::moves_one: return text + " moves one";
  case effect::moves_half: return text + " moves a half";
  case effect::fails: break;
  }
  return text + " fails: " + std::system_category().message(what.by.error);
}

faults::faults() { begin(mode::counts, "nothing"); }

faults::faults(const fault& wanted) : faults(wanted, fault{.in_a_row = 0}) {}

faults::faults(const fault& wanted, const fault& other) {
  planned = {wanted, other};
  begin(mode::as_planned, to_string(wanted));
}

faults::faults(std::uint64_t wanted_seed, unsigned wanted_rarity) {
  seed = wanted_seed;
  rarity = wanted_rarity;
  begin(mode::at_random, "faults at random, by the seed " + std::to_string(wanted_seed));
}

faults::~faults() {
  now.store(mode::off, std::memory_order_release);
  ::sigaction(SIGABRT, &former_action, nullptr);
}

std::uint64_t faults::count(call which) const noexcept {
  return counts[index_of(which)].load(std::memory_order_relaxed);
}

std::uint64_t faults::struck() const noexcept { return strikes.load(std::memory_order_relaxed); }

bool has_struck(call which) noexcept {
  return now.load(std::memory_order_acquire) == mode::as_planned && planned[0].which == which &&
         strikes.load(std::memory_order_relaxed) != 0;
}

undisturbed::undisturbed() noexcept { undisturbed_now.fetch_add(1, std::memory_order_relaxed); }

undisturbed::~undisturbed() { undisturbed_now.fetch_sub(1, std::memory_order_relaxed); }

process_holdings held_by_process() noexcept {
  return {allocations.load(std::memory_order_relaxed),
          mapped_bytes.load(std::memory_order_relaxed)};
}

namespace detail {

strike next_strike(call which) noexcept {
  const mode today = now.load(std::memory_order_acquire);
  if (today == mode::off || undisturbed_now.load(std::memory_order_relaxed) != 0) return {};
  const std::uint64_t number = counts[index_of(which)].fetch_add(1, std::memory_order_relaxed) + 1;
  strike result;
  if (today == mode::as_planned) result = strike_as_planned(which, number);
  if (today == mode::at_random) result = strike_at_random(which);
  if (result.what != effect::none) strikes.fetch_add(1, std::memory_order_relaxed);
  return result;
}

void count_allocations(std::int64_t difference) noexcept {
  allocations.fetch_add(difference, std::memory_order_relaxed);
}

void count_mapped_bytes(std::int64_t difference) noexcept {
  mapped_bytes.fetch_add(difference, std::memory_order_relaxed);
}

}  // namespace detail

}  // namespace weft::test
