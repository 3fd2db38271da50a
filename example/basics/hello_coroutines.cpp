// Hello World, said by a coroutine: spawn starts one beside the caller, co_join waits for its end,
// and result is what it returned.
#include <cstdio>
#include <string>

#include <weft/co.hpp>
#include <weft/tools/command_line.hpp>

#include "exit_code.hpp"

namespace {

constexpr const char* program = "hello-coroutines";

weft::co::task<std::string> hello() { co_return "Hello World"; }

weft::co::task<> say_hello() {
  auto greeting = weft::co::spawn(hello());
  co_await greeting.co_join();
  std::puts(greeting.result().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  weft::tools::command_line arguments{program, "Says Hello World from a coroutine"};
  if (const auto code = arguments.parse(argc, argv)) return *code;

  return example::exit_code_of(program, [] { weft::run([] { weft::co::block_on(say_hello()); }); });
}
