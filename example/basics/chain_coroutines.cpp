// Coroutines that await each other: whoever calls one that may wait is a coroutine too, up to
// block_on, and says co_await.
#include <cstdio>
#include <string>

#include <weft/co.hpp>
#include <weft/tools/command_line.hpp>

#include "exit_code.hpp"

namespace {

constexpr const char* program = "chain-coroutines";

weft::co::task<std::string> excl() { co_return "!"; }

weft::co::task<std::string> world() { co_return "World" + co_await excl(); }

weft::co::task<std::string> hello() { co_return "Hello " + co_await world(); }

}  // namespace

int main(int argc, char** argv) {
  weft::tools::command_line arguments{program,
                                      "Says Hello World! by coroutines that await each other"};
  if (const auto code = arguments.parse(argc, argv)) return *code;

  return example::exit_code_of(
      program, [] { weft::run([] { std::puts(weft::co::block_on(hello()).c_str()); }); });
}
