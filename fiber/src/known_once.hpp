// What is asked of the kernel once: an answer that is always the same.
// Threads: any; two may ask at the same time, and both keep the answer. So nobody waits for who
// asks, as one would at a local static, in the child of a fork for ever: see fork.hpp.
#pragma once

#include <atomic>
#include <cstdint>

namespace weft::detail {

class known_once {
public:
  template <class Ask>
  bool get(Ask&& ask) noexcept {
    // Relaxed: nothing but the answer itself is to be seen.
    answer known = answer_.load(std::memory_order_relaxed);
    if (known == answer::unknown) {
      known = ask() ? answer::yes : answer::no;
      answer_.store(known, std::memory_order_relaxed);
    }
    return known == answer::yes;
  }

private:
  enum class answer : std::uint8_t { unknown, yes, no };

  // Not an atomic of the models: a run of one that asks would not be like one that knows.
  std::atomic<answer> answer_{answer::unknown};
};

}  // namespace weft::detail
