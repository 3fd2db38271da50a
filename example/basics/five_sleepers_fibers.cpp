// Five tasks sleep, each for a time of its own; their parent sleeps too, then waits for all. With
// --virtual-time the clock jumps from one end of a sleep to the next, and nobody waits.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <random>
#include <vector>

#include <weft/fiber.hpp>
#include <weft/fiber/testing/virtual_clock.hpp>
#include <weft/tools/command_line.hpp>

#include "exit_code.hpp"

namespace {

using std::chrono::milliseconds;

constexpr const char* program = "five-sleepers-fibers";
constexpr int sleepers = 5;
constexpr milliseconds sleep_of_the_parent{2'000};
constexpr int shortest_sleep_ms = 1;
constexpr int longest_sleep_ms = 4'999;

void sleeper(int id, milliseconds length) {
  std::printf("%d sleeps for %.3f seconds\n", id, std::chrono::duration<double>(length).count());
  weft::this_fiber::sleep_for(length);
  std::printf("%d awakens\n", id);
}

void run_sleepers(std::uint64_t seed) {
  std::mt19937_64 random{seed};
  std::uniform_int_distribution<int> length_ms{shortest_sleep_ms, longest_sleep_ms};
  std::vector<weft::fiber<>> running;
  for (int id = 1; id <= sleepers; ++id) {
    running.push_back(
        weft::spawn([id, length = milliseconds{length_ms(random)}] { sleeper(id, length); }));
  }
  weft::this_fiber::sleep_for(sleep_of_the_parent);
  for (auto& each : running) each.join();
  std::puts("Done five tasks");
}

}  // namespace

int main(int argc, char** argv) {
  bool in_virtual_time = false;
  std::optional<std::uint64_t> seed;
  CLI::App app{"Five tasks sleep for random times under 5 s", program};
  app.add_flag("--virtual-time", in_virtual_time, "let the clock jump instead of waiting");
  app.add_option("--seed", seed, "choose the times by this number: the same at every run")
      ->check(weft::tools::number_between<std::uint64_t>(0, UINT64_MAX, "a seed"));
  if (const auto code = weft::tools::parse_arguments(app, argc, argv)) return *code;

  return example::exit_code_of(program, [&] {
    weft::testing::virtual_clock time;
    weft::run([&] { run_sleepers(seed ? *seed : std::random_device{}()); },
              {.clock = in_virtual_time ? &time : nullptr});
  });
}
