// What a runtime and the process hold, to see that a test gives everything back.
//
//     const weft::testing::leak_check of_the_process{complain};
//     rt.run([] {
//       const weft::testing::leak_check of_all_workers{complain};
//       ...
//     });
//
// Threads: a fiber, for all workers of its runtime, or a plain thread.
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

/// What the workers of a runtime hold, all together.
struct holdings {
  std::size_t fibers = 0;           ///< that have not ended, but for the main one
  std::size_t waiting = 0;          ///< of them, those that wait, and the main fiber if it does
  std::size_t stacks = 0;           ///< in use by fibers
  std::size_t timers = 0;           ///< armed: sleeps and timed waits
  std::size_t scopes = 0;           ///< cancel scopes with a deadline ahead
  bool driver_has_waiters = false;  ///< of one worker at least

  bool operator==(const holdings&) const = default;
};

/// Returns what the runtime of the caller holds; all 0 on a plain thread. A fiber that has been
/// joined does not count, on whatever worker it has ended; nor does a worker whose fibers are being
/// ended, other than the caller's.
///
/// Waits:  for a fiber on each other worker, which counts there when its turn comes; a cancelled
///         caller waits too.
/// Errors: as weft::spawn_on(), when memory for that fiber is short.
holdings current_holdings();

/// Compares what is held at its construction and at its destruction: on a fiber by its runtime, on
/// a plain thread the descriptors of the process. (Those of a driver live as long as its runtime.)
class leak_check {
public:
  /// Called with one line for each kind of thing of which there is more than before, or with why
  /// that is not known.
  using report = std::function<void(const std::string& line)>;

  /// Waits and throws as current_holdings(); the destructor waits too.
  explicit leak_check(report where);
  leak_check(const leak_check&) = delete;
  leak_check& operator=(const leak_check&) = delete;
  ~leak_check();

private:
  void report_holdings() const;
  void report_descriptors() const;

  report report_;
  holdings held_;
  std::vector<open_descriptor> descriptors_;
};

}  // namespace weft::testing
