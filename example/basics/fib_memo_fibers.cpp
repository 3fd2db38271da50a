// A function that remembers its results, called by three fibers at once: what one of them has
// calculated the others find.
//
// Every calculation gives way in its middle, so the three take turns, in the same order at every
// run; what another one has not finished yet is calculated again.
#include <cstdio>
#include <vector>

#include <weft/fiber.hpp>
#include <weft/tools/command_line.hpp>

#include "exit_code.hpp"
#include "known_results.hpp"

namespace {

constexpr const char* program = "fib-memo-fibers";

// Decorates a function: calls it only for what is not known yet.
class memoized {
public:
  using function = int(int);

  explicit memoized(function& decorated) : decorated_(decorated) {}

  int operator()(int n) {
    if (const auto known = results_.find(n)) return *known;
    return results_.keep(n, decorated_(n));
  }

private:
  function& decorated_;
  example::known_results results_;
};

int calculate_fib(int n);

memoized fib{calculate_fib};

int calculate_fib(int n) {
  if (n < 2) return n;
  const int before = fib(n - 1);
  weft::this_fiber::yield();
  return before + fib(n - 2);
}

void gather() {
  std::vector<weft::fiber<int>> running;
  for (int i = 0; i < 3; ++i) running.push_back(weft::spawn([] { return fib(4); }));
  std::vector<int> results;
  for (auto& each : running) {
    each.join();
    results.push_back(each.result());
  }
  std::puts(example::text_of(results).c_str());
}

}  // namespace

int main(int argc, char** argv) {
  weft::tools::command_line arguments{program, "Three fibers that share the results of a function"};
  if (const auto code = arguments.parse(argc, argv)) return *code;

  return example::exit_code_of(program, [] { weft::run(gather); });
}
