// Two fibers wait, a third works, and one thread does it all: a wait parks only its own fiber, so
// both waits end after 2 s, not one after the other after 4.
#include <chrono>
#include <cstdio>

#include <weft/fiber.hpp>
#include <weft/tools/command_line.hpp>

#include "exit_code.hpp"

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr const char* program = "cooperative-fibers";
constexpr int longest_wait_ms = 3'600'000;  // an hour

const steady_clock::time_point start = steady_clock::now();

// Prints what happens and when.
void say(const char* what) {
  const std::chrono::duration<double> since = steady_clock::now() - start;
  std::printf("%s at %.1f seconds\n", what, since.count());
}

void poll(milliseconds wait) {
  say("Started Polling:");
  weft::this_fiber::sleep_for(wait);
  say("Ended Polling:");
}

bool is_prime(int number) {
  for (int divisor = 2; divisor * divisor <= number; ++divisor) {
    if (number % divisor == 0) return false;
  }
  return number > 1;
}

// Nobody takes the thread away from a fiber that computes: it gives way itself, now and then.
void work() {
  say("Hey lets do some stuff while the fibers poll,");
  int primes = 0;
  for (int number = 1; number <= 10'000; ++number) {
    if (is_prime(number)) ++primes;
    if (number % 100 == 0) weft::this_fiber::yield();
  }
  std::printf("Found %d primes in the meantime\n", primes);
}

}  // namespace

int main(int argc, char** argv) {
  int wait_ms = 2000;
  CLI::App app{"Two fibers wait while a third one works", program};
  app.add_option("--wait-ms", wait_ms, "how long each of the two waits, in milliseconds")
      ->check(weft::tools::number_between(0, longest_wait_ms, "a number of milliseconds"))
      ->capture_default_str();
  if (const auto code = weft::tools::parse_arguments(app, argc, argv)) return *code;

  return example::exit_code_of(program, [wait = milliseconds{wait_ms}] {
    weft::run([wait] {
      auto gr1 = weft::spawn([wait] { poll(wait); });
      auto gr2 = weft::spawn([wait] { poll(wait); });
      auto gr3 = weft::spawn(work);
      gr1.join();
      gr2.join();
      gr3.join();
    });
  });
}
