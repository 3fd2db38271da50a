// The machine context by Boost.Context's fcontext: portable, and what the sanitizer builds use.
//
// It saves MXCSR and the x87 control word itself. Not the exception globals: that is what Boost's
// own fiber class does around it, from 1.88 on.
#pragma once

#include <cfenv>
#include <cstddef>
#include <cstdint>

#include <boost/context/detail/fcontext.hpp>

#include "sanitizer.hpp"

namespace weft::detail {

using context_entry = void (*)();

struct machine_context {
  boost::context::detail::fcontext_t handle = nullptr;
  context_entry entry = nullptr;            // until it has started
  machine_context* started_from = nullptr;  // who switched to it for the first time
  std::fenv_t floating_point{};             // of the spawner
};

// Keeps the floating-point control of the running code in `context`.
inline void read_floating_point_control(machine_context& context) noexcept {
  std::fegetenv(&context.floating_point);
}

// Gives the running code the floating-point control that `context` keeps.
inline void load_floating_point_control(const machine_context& context) noexcept {
  std::fesetenv(&context.floating_point);
}

// Where the stack of a context that does not run ends: fcontext keeps its registers there.
inline const void* stack_pointer_of(const machine_context& context) noexcept {
  return context.handle;
}

// Where each begins.
WEFT_NOT_COUNTED_BY_TSAN inline void
enter_context(boost::context::detail::transfer_t transfer) noexcept {
  auto& self = *static_cast<machine_context*>(transfer.data);
  self.started_from->handle = transfer.fctx;
  self.entry();
}

inline void start_context(machine_context& context, std::byte* top, std::size_t size,
                          context_entry entry) noexcept {
  context.entry = entry;
  context.started_from = nullptr;
  context.handle = boost::context::detail::make_fcontext(top, size, &enter_context);
}

// Before a jump, which loads the control word of the x87: an exception that is noted and masked in
// the context that is left would be sent as SIGFPE to one that does not mask it.
inline void clear_x87_exceptions() noexcept {
#ifdef __x86_64__
  std::uint16_t status = 0;
  asm volatile("fnstsw %0" : "=m"(status));
  if ((status & 0x3f) != 0) asm volatile("fnclex");
#endif
}

// A jump hands the context it came from to the side that arrives, which stores it where the data
// pointer says.
WEFT_NOT_COUNTED_BY_TSAN inline void switch_context(machine_context& from,
                                                    machine_context& to) noexcept {
  clear_x87_exceptions();
  const bool starts = to.entry != nullptr && to.started_from == nullptr;
  if (starts) to.started_from = &from;
  const auto transfer = boost::context::detail::jump_fcontext(to.handle, starts ? &to : &from);
  static_cast<machine_context*>(transfer.data)->handle = transfer.fctx;
}

}  // namespace weft::detail
