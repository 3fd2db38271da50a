// What the programs that measure tasks share: the arguments, the loop that is measured, the report.
//
// Such a program measures one of three loads and prints one line of JSON:
//   --parked N    N tasks wait; memory of each
//   --spawn N     N tasks at once begin, do nothing and are joined; CPU time of each
//   --chain N     two tasks call N functions deep and give way to each other there; CPU time and
//                 allocations of each such call
//
// Threads: the meter belongs to the thread that called main().
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace task_bench {

enum class load_kind { parked, spawn, chain };

struct load {
  load_kind what = load_kind::parked;
  std::uint32_t count = 0;  ///< tasks, or functions deep
  std::chrono::duration<double> warm_up{0.1};
  std::chrono::duration<double> seconds{0.5};
};

/// Measures what happens between its calls.
class meter {
public:
  explicit meter(const load& wanted) : load_{wanted} {}

  /// Tasks, or functions deep.
  std::uint32_t count() const noexcept { return load_.count; }

  /// Begins to look at the memory, before the first task is made and after what belongs to the
  /// program itself was allocated.
  void before_tasks();
  /// All tasks are parked.
  void all_parked();

  /// Tells whether to go on; the loop body that follows does `operations` operations. Measures from
  /// the end of the warm-up.
  bool more(std::uint32_t operations);

  /// Prints the report. Returns the exit code.
  int report(const char* program) const;

private:
  struct reading {
    std::chrono::nanoseconds cpu{};
    std::uint64_t allocations = 0;
  };

  static reading read();

  // What the process has of each.
  struct footprint {
    std::int64_t resident_bytes = 0;
    std::int64_t mappings = 0;  // of memory
    std::int64_t threads = 0;
  };

  static footprint read_footprint();

  const load load_;
  footprint before_;
  footprint parked_;
  std::optional<std::chrono::steady_clock::time_point> begin_;
  bool warm_ = false;
  reading first_;
  reading last_;
  std::uint64_t operations_ = 0;
  std::uint32_t under_way_ = 0;
};

/// What a program does for each load, on whatever it runs its tasks.
struct actions {
  std::function<void(meter&)> parked;
  std::function<void(meter&)> spawn;
  std::function<void(meter&)> chain;
};

/// Reads the command line, runs the action that it asks for by `run`, and prints the report.
/// Returns the exit code of the program: 1 after an exception, with one line on stderr.
int run(const char* program, const std::string& description, int argc, char** argv,
        const actions& all);

}  // namespace task_bench
