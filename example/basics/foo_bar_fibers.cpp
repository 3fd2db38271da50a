// Two fibers on one thread that hand it to each other, and so always print the same four lines.
//
// Nothing interrupts a fiber: another one runs when it waits, ends, or gives way as here.
#include <cstdio>

#include <weft/fiber.hpp>
#include <weft/tools/command_line.hpp>

#include "exit_code.hpp"

namespace {

constexpr const char* program = "foo-bar-fibers";

void foo() {
  std::puts("Running in foo");
  weft::this_fiber::yield();
  std::puts("Explicit context switch to foo again");
}

void bar() {
  std::puts("Explicit context to bar");
  weft::this_fiber::yield();
  std::puts("Implicit context switch back to bar");
}

}  // namespace

int main(int argc, char** argv) {
  weft::tools::command_line arguments{program, "Two fibers that switch to each other explicitly"};
  if (const auto code = arguments.parse(argc, argv)) return *code;

  return example::exit_code_of(program, [] {
    weft::run([] {
      auto first = weft::spawn(foo);
      auto second = weft::spawn(bar);
      first.join();
      second.join();
    });
  });
}
