// Two coroutines wait, a third works, and one thread does it all: a wait suspends only its own
// coroutine, so both waits end after 2 s, not one after the other after 4.
#include <chrono>
#include <cstdio>

#include <weft/co.hpp>

#include "cooperative.hpp"
#include "exit_code.hpp"

namespace {

using example::say;
using std::chrono::milliseconds;

constexpr const char* program = "cooperative-coroutines";

weft::co::task<> poll(milliseconds wait) {
  say("Started Polling:");
  co_await weft::co::sleep_for(wait);
  say("Ended Polling:");
}

// Nobody takes the thread away from a coroutine that computes: it gives way itself, now and then.
weft::co::task<> work() {
  say("Hey lets do some stuff while the fibers poll,");
  int primes = 0;
  for (int number = 1; number <= 10'000; ++number) {
    if (example::is_prime(number)) ++primes;
    if (number % 100 == 0) co_await weft::co::yield();
  }
  std::printf("Found %d primes in the meantime\n", primes);
}

weft::co::task<> poll_and_work(milliseconds wait) {
  auto gr1 = weft::co::spawn(poll(wait));
  auto gr2 = weft::co::spawn(poll(wait));
  auto gr3 = weft::co::spawn(work());
  co_await gr1.co_join();
  co_await gr2.co_join();
  co_await gr3.co_join();
}

}  // namespace

int main(int argc, char** argv) {
  milliseconds wait{};
  if (const auto code = example::parse_wait(program, "Two coroutines wait while a third one works",
                                            wait, argc, argv)) {
    return *code;
  }
  return example::exit_code_of(
      program, [wait] { weft::run([wait] { weft::co::block_on(poll_and_work(wait)); }); });
}
