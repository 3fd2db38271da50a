// Random programs over everything that tasks share: rounds of fibers on several workers and of
// plain threads that lock, wait, send, read and write, are cancelled and timed out in the middle,
// until the time is over. After each round what must hold is checked. The seed of a round is all
// that it takes to run it again, give or take how the threads interleave.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <weft/fiber.hpp>
#include <weft/fiber/testing.hpp>
#include <weft/tools/command_line.hpp>

#include "stress/world.hpp"

namespace {

using namespace std::chrono_literals;
using weft::test::stress::dice;
using weft::test::stress::world;

constexpr const char* program = "weft-stress";

// The scope of the operation that a task is in, for whoever wants to cancel it.
class reachable_scope {
public:
  void enter(weft::cancel_scope& scope) {
    const std::lock_guard hold{lock_};
    scope_ = &scope;
  }

  void leave() {
    const std::lock_guard hold{lock_};
    scope_ = nullptr;
  }

  void cancel() {
    const std::lock_guard hold{lock_};
    if (scope_ != nullptr) scope_->request_cancel();
  }

private:
  std::mutex lock_;  // guards `scope_`
  weft::cancel_scope* scope_ = nullptr;
};

// One round: its size and everything in it follow from the seed.
class stress_round {
public:
  explicit stress_round(std::uint64_t seed)
      : random_(seed), workers_(1 + static_cast<unsigned>(random_.below(4))),
        fibers_(2 + random_.below(20)), threads_(random_.below(4)),
        operations_(20 + random_.below(200)), scopes_(fibers_ + threads_) {}

  // Returns what is wrong.
  std::vector<std::string> run() {
    std::vector<std::string> wrong;
    weft::runtime runtime{{.workers = workers_}};
    runtime.run([&] {
      const weft::testing::leak_check nothing_is_left{
          [&](const std::string& what) { wrong.push_back("left over: " + what); }};
      world things;
      run_tasks(things);
      const auto broken = things.check();
      wrong.insert(wrong.end(), broken.begin(), broken.end());
    });
    return wrong;
  }

  std::uint64_t operations() const noexcept { return operations_ * (fibers_ + threads_); }

private:
  void run_tasks(world& things) {
    std::vector<std::uint64_t> seeds;
    for (std::size_t i = 0; i < fibers_ + threads_ + 1; ++i)
      seeds.push_back(random_.below(1u << 31));
    std::vector<std::thread> threads;
    std::vector<weft::fiber<>> fibers;
    for (std::size_t i = 0; i < threads_; ++i) {
      threads.emplace_back([&, i] {
        play(things, i, seeds[i]);
        ++ended_threads_;
      });
    }
    for (std::size_t i = threads_; i < threads_ + fibers_; ++i) {
      fibers.push_back(weft::spawn_on(i % workers_, [&, i] { play(things, i, seeds[i]); }));
    }
    disturb(dice{seeds.back()}, fibers);
    for (auto& each : fibers) each.join();
    for (auto& each : threads) each.join();
  }

  void play(world& things, std::size_t who, std::uint64_t seed) {
    dice random{seed};
    for (std::size_t i = 0; i < operations_ && !is_cancelled(); ++i) {
      // So that nothing waits for ever.
      weft::timeout limit{std::chrono::microseconds{random.below(3'000)}};
      std::optional<weft::shield> kept_off;
      if (random.once_in(10)) kept_off.emplace();
      std::optional<weft::timeout> own_limit;
      if (kept_off) own_limit.emplace(std::chrono::microseconds{random.below(1'000)});
      scopes_[who].enter(limit);
      things.act(random);
      scopes_[who].leave();
    }
  }

  static bool is_cancelled() { return weft::this_fiber::cancel_requested(); }

  // Cancels operations at random, now and then a whole fiber, until all tasks have ended.
  void disturb(dice random, std::vector<weft::fiber<>>& fibers) {
    const auto has_ended = [](const weft::fiber<>& each) { return each.done(); };
    while (ended_threads_ != threads_ || !std::ranges::all_of(fibers, has_ended)) {
      scopes_[random.below(scopes_.size())].cancel();
      if (random.once_in(50)) fibers[random.below(fibers.size())].request_cancel();
      weft::this_fiber::sleep_for(std::chrono::microseconds{random.below(500)});
    }
  }

  dice random_;
  const unsigned workers_;
  const std::size_t fibers_, threads_, operations_;
  std::deque<reachable_scope> scopes_;
  std::atomic<std::size_t> ended_threads_ = 0;
};

struct stress_options {
  double minutes = 1;
  std::optional<std::uint64_t> seed;
};

int run_stress(const stress_options& options) {
  const std::uint64_t first_seed = options.seed ? *options.seed : std::random_device{}();
  const auto start = std::chrono::steady_clock::now();
  const auto end = start + std::chrono::duration<double, std::ratio<60>>{options.minutes};
  const bool on_terminal = ::isatty(STDERR_FILENO) == 1;
  std::printf("%s: first seed %llu\n", program, static_cast<unsigned long long>(first_seed));
  std::fflush(stdout);
  std::uint64_t rounds = 0, operations = 0;
  for (std::uint64_t seed = first_seed; rounds == 0 || std::chrono::steady_clock::now() < end;
       ++seed, ++rounds) {
    const std::string name = "round with seed " + std::to_string(seed);
    const weft::testing::watchdog dog{name, 120s};
    stress_round round{seed};
    const auto wrong = round.run();
    operations += round.operations();
    for (const std::string& line : wrong) {
      std::fprintf(stderr, "%s: seed %llu: %s\n", program, static_cast<unsigned long long>(seed),
                   line.c_str());
    }
    if (!wrong.empty()) return EXIT_FAILURE;
    if (on_terminal && rounds % 16 == 0) {
      const std::chrono::duration<double> so_far = std::chrono::steady_clock::now() - start;
      std::fprintf(stderr, "\r%llu rounds, %llu operations, %.0f of %.0f s ",
                   static_cast<unsigned long long>(rounds),
                   static_cast<unsigned long long>(operations), so_far.count(),
                   60 * options.minutes);
    }
  }
  if (on_terminal) std::fputc('\n', stderr);
  std::printf("%s: %llu rounds, %llu operations, all well\n", program,
              static_cast<unsigned long long>(rounds), static_cast<unsigned long long>(operations));
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  constexpr double longest_minutes = 10'000;
  stress_options options;
  weft::tools::command_line arguments{
      program,
      "Random programs over all primitives, workers, sockets, cancellations, timeouts and threads"};
  arguments
      .add_number("--minutes", options.minutes, {0, longest_minutes, "a number of minutes"},
                  "how long; at least one round is run")
      .shows_default();
  arguments.add_number("--seed", options.seed, {0, UINT64_MAX, "a seed"},
                       "of the first round; each one after it has the next");
  if (const auto code = arguments.parse(argc, argv)) return *code;
  return run_stress(options);
}
