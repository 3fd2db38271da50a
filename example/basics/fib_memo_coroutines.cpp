// A coroutine that remembers its results, awaited by three others at once: what one of them has
// calculated the others find.
//
// Every calculation gives way in its middle, so the three take turns, in the same order at every
// run; what another one has not finished yet is calculated again.
#include <cstdio>
#include <vector>

#include <weft/co.hpp>
#include <weft/tools/command_line.hpp>

#include "exit_code.hpp"
#include "known_results.hpp"

namespace {

constexpr const char* program = "fib-memo-coroutines";

// Decorates a coroutine: awaits it only for what is not known yet.
class memoized {
public:
  using function = weft::co::task<int>(int);

  explicit memoized(function& decorated) : decorated_(decorated) {}

  weft::co::task<int> operator()(int n) {
    if (const auto known = results_.find(n)) co_return *known;
    co_return results_.keep(n, co_await decorated_(n));
  }

private:
  function& decorated_;
  example::known_results results_;
};

weft::co::task<int> calculate_fib(int n);

memoized fib{calculate_fib};

weft::co::task<int> calculate_fib(int n) {
  if (n < 2) co_return n;
  const int before = co_await fib(n - 1);
  co_await weft::co::yield();
  co_return before + co_await fib(n - 2);
}

weft::co::task<> gather() {
  std::vector<weft::fiber<int>> running;
  for (int i = 0; i < 3; ++i) running.push_back(weft::co::spawn(fib(4)));
  std::vector<int> results;
  for (auto& each : running) {
    co_await each.co_join();
    results.push_back(each.result());
  }
  std::puts(example::text_of(results).c_str());
}

}  // namespace

int main(int argc, char** argv) {
  weft::tools::command_line arguments{program,
                                      "Three coroutines that share the results of another one"};
  if (const auto code = arguments.parse(argc, argv)) return *code;

  return example::exit_code_of(program, [] { weft::run([] { weft::co::block_on(gather()); }); });
}
