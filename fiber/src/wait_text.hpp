// What a wait is for, in words: for dumps, and for weft-ps.
#pragma once

#include <weft/fiber/detail/wait_note.hpp>

namespace weft::detail {

// The words before its object.
constexpr const char* purpose_of(wait_kind kind) noexcept {
  switch (kind) {
  case wait_kind::other: break;
  case wait_kind::time: return "sleeps";
  case wait_kind::fiber: return "waits for the end of fiber";
  case wait_kind::group: return "waits for the tasks of group";
  case wait_kind::mutex: return "waits for mutex";
  case wait_kind::condition: return "waits for a notification of condition";
  case wait_kind::semaphore: return "waits for semaphore";
  case wait_kind::event: return "waits for event";
  case wait_kind::sender: return "waits to receive from channel";
  case wait_kind::receiver: return "waits to send to channel";
  case wait_kind::several: return "waits for one of several";
  case wait_kind::input: return "waits for input of descriptor";
  case wait_kind::output: return "waits to write to descriptor";
  case wait_kind::turn: return "waits for its turn on descriptor";
  case wait_kind::descriptors: return "waits for a free descriptor number";
  }
  return "waits";
}

enum class wait_object : std::uint8_t { none, number, address };

constexpr wait_object object_kind_of(wait_kind kind) noexcept {
  switch (kind) {
  case wait_kind::fiber:
  case wait_kind::input:
  case wait_kind::output:
  case wait_kind::turn: return wait_object::number;
  case wait_kind::other:
  case wait_kind::time:
  case wait_kind::several:
  case wait_kind::descriptors: return wait_object::none;
  default: return wait_object::address;
  }
}

}  // namespace weft::detail
