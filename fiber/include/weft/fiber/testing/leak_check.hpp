// What a runtime and the process hold, to see that a test gives everything back.
//
//     const weft::testing::leak_check of_the_process{complain};
//     rt.run([] {
//       const weft::testing::leak_check of_the_worker{complain};
//       ...
//     });
//
// Threads: a fiber, for the worker it runs on, or a plain thread.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace weft::testing {

/// A descriptor of the process and what it refers to.
struct open_descriptor {
  int number;
  std::string target;

  bool operator==(const open_descriptor&) const = default;
};

/// Returns the open descriptors of the process, in order.
std::vector<open_descriptor> open_descriptors();

/// What the worker of the caller holds; all 0 on a plain thread.
struct holdings {
  std::size_t fibers = 0;   ///< that have not ended, but for the main one
  std::size_t waiting = 0;  ///< of them, those that wait, and the main fiber if it does
  std::size_t stacks = 0;   ///< in use by fibers
  std::size_t timers = 0;   ///< armed: sleeps and timed waits
  std::size_t scopes = 0;   ///< cancel scopes with a deadline ahead
  bool driver_has_waiters = false;

  bool operator==(const holdings&) const = default;
};

/// Returns what it is now.
holdings current_holdings();

/// Compares what is held at its construction and at its destruction: on a fiber by its worker, on a
/// plain thread the descriptors of the process. (Those of a driver live as long as its runtime.)
class leak_check {
public:
  /// Called with one line for each kind of thing of which there is more than before.
  using report = std::function<void(const std::string& line)>;

  explicit leak_check(report where);
  leak_check(const leak_check&) = delete;
  leak_check& operator=(const leak_check&) = delete;
  ~leak_check();

private:
  report report_;
  holdings held_;
  std::vector<open_descriptor> descriptors_;
};

}  // namespace weft::testing
