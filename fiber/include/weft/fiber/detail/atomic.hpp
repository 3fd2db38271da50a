// The atomic type of weft's core.
//
// Every atomic that two threads of the core share is a weft::detail::atomic, so that a build that
// checks interleavings can put one in its place whose every access a seeded scheduler orders: the
// header of the same name in test/model/replace/. (But for two that only decide whom to name when
// the process is ended, in scheduler.hpp, and for what is made once, in known_once.hpp and
// task.cpp.)
#pragma once

#include <atomic>

namespace weft::detail {

template <class T>
using atomic = std::atomic<T>;

}  // namespace weft::detail
