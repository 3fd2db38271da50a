// Something that is seen to be destroyed, for tests of when and where that happens.
#pragma once

#include <functional>
#include <utility>

#include <weft/fiber.hpp>

namespace weft::test {

/// Calls a function when it is destroyed.
class on_destruction {
public:
  explicit on_destruction(std::function<void()> what = {}) : what_(std::move(what)) {}

  on_destruction(on_destruction&& other) noexcept : what_(std::exchange(other.what_, nullptr)) {}

  on_destruction& operator=(on_destruction&& other) noexcept {
    what_ = std::exchange(other.what_, nullptr);
    return *this;
  }

  ~on_destruction() {
    if (what_) what_();
  }

private:
  std::function<void()> what_;
};

/// Notes on which fiber it is destroyed.
inline on_destruction note_of_end(fiber_id& where) {
  return on_destruction{[&where] { where = this_fiber::get_id(); }};
}

}  // namespace weft::test
