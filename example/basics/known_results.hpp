// What the decorators of fib-memo remember, whether they call fibers' functions or coroutines.
//
// Threads: one.
#pragma once

#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace example {

/// The results of a function, and a line on stdout for each use of them.
class known_results {
public:
  /// Returns the result for `n`, and says so; nothing if it is not known yet.
  std::optional<int> find(int n) const {
    const auto found = results_.find(n);
    if (found == results_.end()) return std::nullopt;
    std::printf("found %d in cache\n", n);
    return found->second;
  }

  /// Remembers `result` for `n`, says that it was calculated, and returns it.
  int keep(int n, int result) {
    results_[n] = result;
    std::printf("calculated %d\n", n);
    return result;
  }

private:
  std::map<int, int> results_;
};

/// Writes `numbers` as `[1, 2, 3]`.
inline std::string text_of(const std::vector<int>& numbers) {
  std::string text;
  for (const int each : numbers) text += (text.empty() ? "" : ", ") + std::to_string(each);
  return "[" + text + "]";
}

}  // namespace example
