#include "trace.hpp"

#include <cstring>
#include <map>

namespace weft::model {
namespace {

const char* base_name(const char* path) noexcept {
  const char* const slash = std::strrchr(path, '/');
  return slash != nullptr ? slash + 1 : path;
}

}  // namespace

void trace::print(std::FILE* out, std::span<const char* const> thread_names) const {
  const std::size_t first = count_ > most ? count_ - most : 0;
  if (first != 0) std::fprintf(out, "  (%zu steps before)\n", first);
  std::map<const void*, std::size_t> numbers;
  for (std::size_t i = first; i < count_; ++i) {
    const trace_entry& each = entries_[i % most];
    std::fprintf(out, "  %-12s %-17s", thread_names[static_cast<std::size_t>(each.thread)],
                 each.what);
    if (each.object != nullptr) {
      const std::size_t number = numbers.try_emplace(each.object, numbers.size() + 1).first->second;
      std::fprintf(out, " @%-3zu", number);
    }
    if (each.before != each.after) {
      std::fprintf(out, " %#llx ->", static_cast<unsigned long long>(each.before));
    }
    std::fprintf(out, " %#llx  %s:%u\n", static_cast<unsigned long long>(each.after),
                 base_name(each.where.file_name()), each.where.line());
  }
}

}  // namespace weft::model
