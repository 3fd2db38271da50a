// What came of a scenario in which calls fail: the errors that it was told, and what must hold
// whatever fails. It takes no memory, which may be what there is none of.
//
// Threads: any.
#pragma once

#include <array>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "faults.hpp"

namespace weft::test {

/// Of a scenario on purpose: neither injected nor a consequence.
struct planned_failure {};

class outcome {
public:
  /// Calls `function()`; what it throws is noted. Returns whether it threw nothing.
  template <class Function>
  bool attempt(Function&& function) noexcept {
    try {
      std::forward<Function>(function)();
      return true;
    } catch (...) {
      note_current_exception();
      return false;
    }
  }

  /// In a handler of exceptions.
  void note_current_exception() noexcept;

  void note(std::error_code ec) noexcept;

  /// What must hold, whatever fails.
  void expect(bool holds, std::string_view what) noexcept;

  /// A line of the library for people.
  void note_diagnostic(std::string_view line) noexcept;

  bool has_failed() const noexcept { return failure_count_ != 0; }

  /// Returns what is wrong with what was told, empty if nothing is. Without a fault that has
  /// struck, `struck` null, nothing may have failed. With one either nothing has, or the failure is
  /// named, by an error or a line, and all the others are its consequences.
  std::string complaint(const fault* struck) const;

private:
  struct failure {
    bool no_memory = false;
    std::error_code code;
    std::array<char, 160> what{};
  };

  void add(bool no_memory, std::error_code code, std::string_view what) noexcept;
  std::string list() const;

  std::mutex lock_;  // guards the rest, which is read when no other thread is left
  std::array<failure, 32> failures_;
  std::size_t failure_count_ = 0;
  std::array<char, 300> broken_{};
  std::size_t line_count_ = 0;
  std::array<char, 300> line_{};
};

}  // namespace weft::test
