// The memory of another process, read while that runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <sys/types.h>
#include <type_traits>

namespace weft::ps {

class process_memory {
public:
  explicit process_memory(pid_t process) noexcept : process_(process) {}

  pid_t process() const noexcept { return process_; }

  /// Copies `size` bytes from `address` there (process_vm_readv(2), which needs the permission to
  /// trace it).
  ///
  /// Errors: throws std::system_error: EPERM, ESRCH, EFAULT for memory that is not there.
  void read(std::uint64_t address, void* to, std::size_t size) const;

  template <class T>
  T read(std::uint64_t address) const {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    read(address, &value, sizeof value);
    return value;
  }

  std::uint64_t pointer(std::uint64_t address) const { return read<std::uint64_t>(address); }

  /// Returns the text that ends with a zero, at most `most` bytes of it.
  std::string text(std::uint64_t address, std::size_t most = 300) const;

private:
  pid_t process_;
};

}  // namespace weft::ps
