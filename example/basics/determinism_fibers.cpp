// Nine tasks that each pause for a random time: run one by one they end in order, whatever the
// pauses; run concurrently, each on a fiber, in the order in which their pauses end. With --seed
// the pauses, the order among those that are ready together and the time itself are no accident:
// every run prints the same, without waiting.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <weft/fiber.hpp>
#include <weft/fiber/testing/virtual_clock.hpp>
#include <weft/tools/command_line.hpp>

#include "exit_code.hpp"

namespace {

using std::chrono::milliseconds;

constexpr const char* program = "determinism-fibers";
constexpr int tasks = 9;
constexpr int longest_pause_ms = 3'600'000;  // an hour

class random_pauses {
public:
  random_pauses(int max_ms, std::uint64_t seed) : engine_(seed), range_ms_(0, max_ms) {}

  milliseconds next() { return milliseconds{range_ms_(engine_)}; }

private:
  std::mt19937_64 engine_;
  std::uniform_int_distribution<int> range_ms_;
};

// Shows a part of a line at once.
void show(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

void run_task(int id, milliseconds pause) {
  weft::this_fiber::sleep_for(pause);
  show(" " + std::to_string(id));
}

void run_one_by_one(random_pauses& pauses) {
  show("Synchronous:");
  for (int id = 1; id <= tasks; ++id) run_task(id, pauses.next());
  show("\n");
}

void run_concurrently(random_pauses& pauses) {
  show("Concurrent:");
  std::vector<weft::fiber<>> running;
  for (int id = 1; id <= tasks; ++id) {
    running.push_back(weft::spawn([id, pause = pauses.next()] { run_task(id, pause); }));
  }
  for (auto& each : running) each.join();
  show("\n");
}

}  // namespace

int main(int argc, char** argv) {
  int max_pause_ms = 20;
  std::optional<std::uint64_t> seed;
  CLI::App app{"Nine tasks with random pauses, one by one and concurrently", program};
  app.add_option("--max-pause-ms", max_pause_ms, "the longest pause of a task, in milliseconds")
      ->check(weft::tools::number_between(0, longest_pause_ms, "a number of milliseconds"))
      ->capture_default_str();
  app.add_option("--seed", seed, "choose pauses and order by this number, in virtual time")
      ->check(weft::tools::number_between<std::uint64_t>(0, UINT64_MAX, "a seed"));
  if (const auto code = weft::tools::parse_arguments(app, argc, argv)) return *code;

  return example::exit_code_of(program, [&] {
    random_pauses pauses{max_pause_ms, seed ? *seed : std::random_device{}()};
    weft::testing::virtual_clock time;
    weft::run(
        [&] {
          run_one_by_one(pauses);
          run_concurrently(pauses);
        },
        {.clock = seed ? &time : nullptr, .order_seed = seed});
  });
}
