// Nine tasks that each pause for a random time: run one by one they end in order, whatever the
// pauses; run concurrently, each a coroutine, in the order in which their pauses end. With --seed
// the pauses, the order among those that are ready together and the time itself are no accident:
// every run prints the same, without waiting.
#include <chrono>
#include <string>
#include <vector>

#include <weft/co.hpp>
#include <weft/fiber/testing/virtual_clock.hpp>

#include "determinism.hpp"
#include "exit_code.hpp"

namespace {

using example::random_pauses;
using example::show;

constexpr const char* program = "determinism-coroutines";
constexpr int tasks = 9;

weft::co::task<> run_task(int id, std::chrono::milliseconds pause) {
  co_await weft::co::sleep_for(pause);
  show(" " + std::to_string(id));
}

weft::co::task<> run_one_by_one(random_pauses& pauses) {
  show("Synchronous:");
  for (int id = 1; id <= tasks; ++id) co_await run_task(id, pauses.next());
  show("\n");
}

weft::co::task<> run_concurrently(random_pauses& pauses) {
  show("Concurrent:");
  std::vector<weft::fiber<>> running;
  for (int id = 1; id <= tasks; ++id) {
    running.push_back(weft::co::spawn(run_task(id, pauses.next())));
  }
  for (auto& each : running) co_await each.co_join();
  show("\n");
}

weft::co::task<> run_both(random_pauses& pauses) {
  co_await run_one_by_one(pauses);
  co_await run_concurrently(pauses);
}

}  // namespace

int main(int argc, char** argv) {
  example::determinism_options options;
  if (const auto code = example::parse_options(program, options, argc, argv)) return *code;

  return example::exit_code_of(program, [&] {
    random_pauses pauses{options};
    weft::testing::virtual_clock time;
    weft::run([&] { weft::co::block_on(run_both(pauses)); },
              {.clock = options.seed ? &time : nullptr, .order_seed = options.seed});
  });
}
