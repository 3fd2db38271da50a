// Five tasks sleep, each for a time of its own; their parent sleeps too, then waits for all. With
// --virtual-time the clock jumps from one end of a sleep to the next, and nobody waits.
#include <chrono>
#include <cstdio>
#include <vector>

#include <weft/co.hpp>
#include <weft/fiber/testing/virtual_clock.hpp>

#include "exit_code.hpp"
#include "five_sleepers.hpp"

namespace {

using std::chrono::milliseconds;

constexpr const char* program = "five-sleepers-coroutines";
constexpr int sleepers = 5;
constexpr milliseconds sleep_of_the_parent{2'000};

weft::co::task<> sleeper(int id, milliseconds length) {
  std::printf("%d sleeps for %.3f seconds\n", id, std::chrono::duration<double>(length).count());
  co_await weft::co::sleep_for(length);
  std::printf("%d awakens\n", id);
}

weft::co::task<> run_sleepers(example::random_sleeps& sleeps) {
  std::vector<weft::fiber<>> running;
  for (int id = 1; id <= sleepers; ++id) {
    running.push_back(weft::co::spawn(sleeper(id, sleeps.next())));
  }
  co_await weft::co::sleep_for(sleep_of_the_parent);
  for (auto& each : running) co_await each.co_join();
  std::puts("Done five tasks");
}

}  // namespace

int main(int argc, char** argv) {
  example::sleeper_options options;
  if (const auto code = example::parse_options(program, options, argc, argv)) return *code;

  return example::exit_code_of(program, [&] {
    example::random_sleeps sleeps{options};
    weft::testing::virtual_clock time;
    weft::run([&] { weft::co::block_on(run_sleepers(sleeps)); },
              {.clock = options.in_virtual_time ? &time : nullptr});
  });
}
