// A line that is printed when the process dies of a fault, or a sanitizer reports one.
//
// Threads: one of them exists at a time.
#pragma once

#include <cstdint>
#include <string_view>

namespace weft::test::stress {

class last_words {
public:
  /// The line is `before` and `number`.
  last_words(std::string_view before, std::uint64_t number) noexcept;
  last_words(const last_words&) = delete;
  last_words& operator=(const last_words&) = delete;
  ~last_words();
};

}  // namespace weft::test::stress
