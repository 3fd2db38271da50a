// Room for an object that begins and ends when its owner says so, who knows whether it lives: a
// std::optional keeps a note of that, eight bytes of a task. Not for users.
// Threads: as the object.
#pragma once

#include <memory>
#include <utility>

namespace weft::detail {

template <class T>
class manual_lifetime {
public:
  manual_lifetime() noexcept {}  // NOLINT(modernize-use-equals-default): the union has no default

  manual_lifetime(const manual_lifetime&) = delete;
  manual_lifetime& operator=(const manual_lifetime&) = delete;

  ~manual_lifetime() {}  // NOLINT(modernize-use-equals-default): the same

  template <class... Arguments>
  void emplace(Arguments&&... arguments) {
    std::construct_at(std::addressof(object), std::forward<Arguments>(arguments)...);
  }

  T& operator*() noexcept { return object; }

  void destroy() noexcept { std::destroy_at(std::addressof(object)); }

private:
  union {
    T object;
  };
};

}  // namespace weft::detail
