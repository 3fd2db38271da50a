#include "process_memory.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/uio.h>
#include <system_error>

namespace weft::ps {

void process_memory::read(std::uint64_t address, void* to, std::size_t size) const {
  const iovec here{to, size};
  // NOLINTNEXTLINE(performance-no-int-to-ptr): it points into another process
  const iovec there{reinterpret_cast<void*>(address), size};
  const ssize_t copied = ::process_vm_readv(process_, &here, 1, &there, 1, 0);
  if (copied == static_cast<ssize_t>(size)) return;
  throw std::system_error(copied < 0 ? errno : EFAULT, std::system_category());
}

std::string process_memory::text(std::uint64_t address, std::size_t most) const {
  constexpr std::size_t page = 4096;
  std::string result;
  while (result.size() < most) {
    // Not across the end of a page, behind which there may be nothing.
    std::array<char, 64> part;
    const std::uint64_t from = address + result.size();
    const std::size_t size = std::min({part.size(), most - result.size(), page - from % page});
    read(from, part.data(), size);
    const auto end =
        std::find(part.begin(), part.begin() + static_cast<std::ptrdiff_t>(size), '\0');
    result.append(part.begin(), end);
    if (end != part.begin() + static_cast<std::ptrdiff_t>(size)) break;
  }
  return result;
}

}  // namespace weft::ps
