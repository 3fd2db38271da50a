// Functions that call each other on a fiber: any of them may wait, at any depth, and none of them
// looks different for it.
#include <cstdio>
#include <string>

#include <weft/fiber.hpp>
#include <weft/tools/command_line.hpp>

#include "exit_code.hpp"

namespace {

constexpr const char* program = "chain-fibers";

std::string excl() { return "!"; }

std::string world() { return "World" + excl(); }

std::string hello() { return "Hello " + world(); }

}  // namespace

int main(int argc, char** argv) {
  weft::tools::command_line arguments{
      program, "Says Hello World! by functions that call each other on a fiber"};
  if (const auto code = arguments.parse(argc, argv)) return *code;

  return example::exit_code_of(program, [] { weft::run([] { std::puts(hello().c_str()); }); });
}
