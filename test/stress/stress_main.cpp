// Random programs over everything that tasks share: rounds of several programs at once, until the
// time is over. After each program what must hold is checked. The seed of a round is all that it
// takes to run it again, give or take how the threads interleave.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <weft/fiber.hpp>
#include <weft/fiber/testing.hpp>
#include <weft/tools/command_line.hpp>

#include "stress/last_words.hpp"
#include "stress/program.hpp"

namespace {

using namespace std::chrono_literals;
using weft::test::stress::all_programs;
using weft::test::stress::dice;
using weft::test::stress::outcome;
using weft::test::stress::program;

constexpr const char* name_of_this = "weft-stress";
// More than the processors of a small machine: when one waits, others go on.
constexpr std::size_t programs_at_once = 4;

struct stress_options {
  double minutes = 1;
  std::optional<std::uint64_t> seed;
  std::string only;
};

// One round: everything in it follows from the seed.
class stress_round {
public:
  stress_round(std::uint64_t seed, const std::string& only) {
    dice random{seed};
    const auto programs = all_programs();
    for (std::size_t i = 0; i < programs_at_once; ++i) {
      const program* what = &programs[random.below(programs.size())];
      if (!only.empty()) what = &*std::ranges::find(programs, only, &program::name);
      parts_.emplace_back(what, random.seed());
    }
  }

  void run() {
    std::vector<std::thread> threads;
    for (part& each : parts_) threads.emplace_back([&each] { each.run(); });
    for (auto& each : threads) each.join();
  }

  std::uint64_t operations() const noexcept {
    std::uint64_t sum = 0;
    for (const part& each : parts_) sum += each.result.operations();
    return sum;
  }

  // Prints what is wrong, and returns whether anything is.
  bool complain(std::uint64_t seed) const {
    bool wrong = false;
    for (const part& each : parts_) {
      for (const std::string& line : each.result.wrong()) {
        wrong = true;
        std::fprintf(stderr, "%s: seed %llu: %s: %s\n", name_of_this,
                     static_cast<unsigned long long>(seed), each.what->name, line.c_str());
      }
    }
    return wrong;
  }

private:
  struct part {
    part(const program* which, std::uint64_t seed) noexcept : what(which), random(seed) {}

    void run() noexcept {
      try {
        what->run(random, result);
      } catch (const std::exception& error) {
        result.add_wrong(std::string{"it has thrown "} + error.what());
      }
    }

    const program* what;
    dice random;
    outcome result;
  };

  std::deque<part> parts_;
};

std::atomic<std::uint64_t> unexpected_errors = 0;

std::string describe(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "no exception of the standard";
  }
}

void note_unhandled(const weft::unhandled_error& error) {
  if (weft::test::stress::is_expected(error.exception)) return;
  ++unexpected_errors;
  std::fprintf(stderr, "%s: %.*s: %s\n", name_of_this, static_cast<int>(error.fiber_name.size()),
               error.fiber_name.data(), describe(error.exception).c_str());
}

// Rounds until the time is over, or one has failed.
class stress {
public:
  explicit stress(const stress_options& options)
      : options_(options), seed_(options.seed ? *options.seed : std::random_device{}()),
        on_terminal_(::isatty(STDERR_FILENO) == 1) {}

  int run() {
    std::printf("%s: first seed %llu\n", name_of_this, static_cast<unsigned long long>(seed_));
    std::fflush(stdout);
    const auto end = start_ + std::chrono::duration<double, std::ratio<60>>{options_.minutes};
    do {
      if (!run_round()) return EXIT_FAILURE;
      if (on_terminal_ && rounds_ % 16 == 0) show_progress();
    } while (std::chrono::steady_clock::now() < end);
    if (on_terminal_) std::fputc('\n', stderr);
    std::printf("%s: %llu rounds, %llu operations, all well\n", name_of_this,
                static_cast<unsigned long long>(rounds_),
                static_cast<unsigned long long>(operations_));
    return EXIT_SUCCESS;
  }

private:
  bool run_round() {
    const std::string name = "round with seed " + std::to_string(seed_);
    const weft::testing::watchdog dog{name, 120s};
    const weft::test::stress::last_words in_case{"weft-stress: in the round with seed ", seed_};
    stress_round round{seed_, options_.only};
    round.run();
    if (round.complain(seed_)) return false;
    if (unexpected_errors != 0) {
      std::fprintf(stderr, "%s: seed %llu: a task has failed as none should\n", name_of_this,
                   static_cast<unsigned long long>(seed_));
      return false;
    }
    operations_ += round.operations();
    ++rounds_;
    ++seed_;
    return true;
  }

  void show_progress() const {
    const std::chrono::duration<double> so_far = std::chrono::steady_clock::now() - start_;
    std::fprintf(stderr, "\r%llu rounds, %llu operations, %.0f of %.0f s ",
                 static_cast<unsigned long long>(rounds_),
                 static_cast<unsigned long long>(operations_), so_far.count(),
                 60 * options_.minutes);
  }

  const stress_options& options_;
  std::uint64_t seed_;
  const bool on_terminal_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::uint64_t rounds_ = 0, operations_ = 0;
};

std::string names_of_programs() {
  std::string names;
  for (const program& each : all_programs())
    names += (names.empty() ? "" : ", ") + std::string{each.name};
  return names;
}

std::string wrong_with_name(const std::string& name) {
  const auto programs = all_programs();
  if (std::ranges::find(programs, name, &program::name) != programs.end()) return {};
  return "'" + name + "' is no program; accepted: " + names_of_programs();
}

// The descriptors of the process are those from before too.
int run_and_check_descriptors(const stress_options& options) {
  std::vector<std::string> left;
  int code = EXIT_SUCCESS;
  {
    const weft::testing::leak_check nothing_is_left{
        [&](const std::string& what) { left.push_back(what); }};
    code = stress{options}.run();
  }
  for (const std::string& line : left) {
    std::fprintf(stderr, "%s: left over: %s\n", name_of_this, line.c_str());
  }
  return left.empty() ? code : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
  constexpr double longest_minutes = 10'000;
  stress_options options;
  weft::tools::command_line arguments{
      name_of_this,
      "Random programs over all primitives, workers, sockets, cancellations, timeouts and threads"};
  arguments
      .add_number("--minutes", options.minutes, {0, longest_minutes, "a number of minutes"},
                  "how long; at least one round is run")
      .shows_default();
  arguments.add_number("--seed", options.seed, {0, UINT64_MAX, "a seed"},
                       "of the first round; each one after it has the next");
  arguments.add_text("--only", options.only, "only this program: " + names_of_programs())
      .checked(wrong_with_name, "NAME");
  if (const auto code = arguments.parse(argc, argv)) return *code;
  weft::set_unhandled_error_handler(note_unhandled);
  return run_and_check_descriptors(options);
}
