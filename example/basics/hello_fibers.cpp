// Hello World, said by a fiber: spawn starts a function beside the caller, join waits for its end,
// and result is what it returned.
#include <cstdio>
#include <string>

#include <weft/fiber.hpp>
#include <weft/tools/command_line.hpp>

#include "exit_code.hpp"

namespace {

constexpr const char* program = "hello-fibers";

std::string hello() { return "Hello World"; }

}  // namespace

int main(int argc, char** argv) {
  weft::tools::command_line arguments{program, "Says Hello World from a fiber"};
  if (const auto code = arguments.parse(argc, argv)) return *code;

  return example::exit_code_of(program, [] {
    weft::run([] {
      auto greeting = weft::spawn(hello);
      greeting.join();
      std::puts(greeting.result().c_str());
    });
  });
}
