// Two fibers wait, a third works, and one thread does it all: a wait parks only its own fiber, so
// both waits end after 2 s, not one after the other after 4.
#include <chrono>
#include <cstdio>

#include <weft/fiber.hpp>

#include "cooperative.hpp"
#include "exit_code.hpp"

namespace {

using example::say;
using std::chrono::milliseconds;

constexpr const char* program = "cooperative-fibers";

void poll(milliseconds wait) {
  say("Started Polling:");
  weft::this_fiber::sleep_for(wait);
  say("Ended Polling:");
}

// Nobody takes the thread away from a fiber that computes: it gives way itself, now and then.
void work() {
  say("Hey lets do some stuff while the fibers poll,");
  int primes = 0;
  for (int number = 1; number <= 10'000; ++number) {
    if (example::is_prime(number)) ++primes;
    if (number % 100 == 0) weft::this_fiber::yield();
  }
  std::printf("Found %d primes in the meantime\n", primes);
}

void poll_and_work(milliseconds wait) {
  auto gr1 = weft::spawn([wait] { poll(wait); });
  auto gr2 = weft::spawn([wait] { poll(wait); });
  auto gr3 = weft::spawn(work);
  gr1.join();
  gr2.join();
  gr3.join();
}

}  // namespace

int main(int argc, char** argv) {
  milliseconds wait{};
  if (const auto code = example::parse_wait(program, "Two fibers wait while a third one works",
                                            wait, argc, argv)) {
    return *code;
  }
  return example::exit_code_of(program, [wait] { weft::run([wait] { poll_and_work(wait); }); });
}
