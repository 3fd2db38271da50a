// Memory that runs out: a program linked with this has allocations that fail on request.
#pragma once

namespace weft::test {

/// While it exists, the next `allocations` calls of operator new on the calling thread succeed, and
/// those that follow fail. Over-aligned allocations do not count.
class limited_memory {
public:
  explicit limited_memory(long allocations) noexcept;
  limited_memory(const limited_memory&) = delete;
  limited_memory& operator=(const limited_memory&) = delete;
  ~limited_memory();
};

}  // namespace weft::test
