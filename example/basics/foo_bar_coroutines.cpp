// Two coroutines on one thread that hand it to each other, and so always print the same four lines.
//
// Nothing interrupts a coroutine: another one runs when it waits, ends, or gives way as here.
#include <cstdio>

#include <weft/co.hpp>
#include <weft/tools/command_line.hpp>

#include "exit_code.hpp"

namespace {

constexpr const char* program = "foo-bar-coroutines";

weft::co::task<> foo() {
  std::puts("Running in foo");
  co_await weft::co::yield();
  std::puts("Explicit context switch to foo again");
}

weft::co::task<> bar() {
  std::puts("Explicit context to bar");
  co_await weft::co::yield();
  std::puts("Implicit context switch back to bar");
}

weft::co::task<> foo_and_bar() {
  auto first = weft::co::spawn(foo());
  auto second = weft::co::spawn(bar());
  co_await first.co_join();
  co_await second.co_join();
}

}  // namespace

int main(int argc, char** argv) {
  weft::tools::command_line arguments{program,
                                      "Two coroutines that switch to each other explicitly"};
  if (const auto code = arguments.parse(argc, argv)) return *code;

  return example::exit_code_of(program,
                               [] { weft::run([] { weft::co::block_on(foo_and_bar()); }); });
}
