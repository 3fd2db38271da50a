// What the threads of a run did, in order: to be printed when it fails. Allocates nothing.
//
// Threads: whoever runs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <source_location>
#include <span>

namespace weft::model {

struct trace_entry {
  int thread = 0;
  const char* what = nullptr;
  const void* object = nullptr;
  std::uint64_t before = 0;
  std::uint64_t after = 0;
  std::source_location where;
};

class trace {
public:
  void clear() noexcept { count_ = 0; }

  void add(const trace_entry& entry) noexcept { entries_[count_++ % most] = entry; }

  /// Prints the last ones, oldest first; objects are numbered in the order in which they occur.
  void print(std::FILE* out, std::span<const char* const> thread_names) const;

private:
  static constexpr std::size_t most = 2'048;

  std::array<trace_entry, most> entries_;
  std::size_t count_ = 0;  // of all that were added
};

}  // namespace weft::model
