// The machine context by our own switch, for x86-64 and the System V ABI.
//
// Inline, so that the compiler saves just what lives across it and no return address is popped that
// was not pushed on the same stack: a switch entered by `call` and left by `jmp` makes every later
// `ret` mispredict. rsp, rip and rbp go to the context, not to the stack: a push would overwrite
// the red zone. It must stay in the scheduler's own source file.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weft::detail {

struct machine_context {
  void* stack_pointer = nullptr;
  void* instruction = nullptr;
  void* frame = nullptr;
  // The control bits of MXCSR and the x87 control word are preserved across calls (System V ABI,
  // 3.2.3); the status bits are not.
  std::uint32_t mxcsr = 0;
  std::uint16_t x87_control = 0;
};

static_assert(offsetof(machine_context, stack_pointer) == 0);
static_assert(offsetof(machine_context, instruction) == 8);
static_assert(offsetof(machine_context, frame) == 16);

using context_entry = void (*)();

inline constexpr std::uint32_t mxcsr_control_bits = 0xffc0;

// Keeps the floating-point control of the running code in `context`.
inline void read_floating_point_control(machine_context& context) noexcept {
  asm volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(context.mxcsr), "=m"(context.x87_control));
}

// The floating-point control of `from`, which runs, becomes that of `to`.
inline void switch_floating_point_control(machine_context& from,
                                          const machine_context& to) noexcept {
  read_floating_point_control(from);
  if (((from.mxcsr ^ to.mxcsr) & mxcsr_control_bits) != 0) [[unlikely]] {
    asm volatile("ldmxcsr %0" : : "m"(to.mxcsr));
  }
  if (from.x87_control != to.x87_control) [[unlikely]] {
    // Without the exceptions that are noted and masked in `from`: `to` would be sent SIGFPE for one
    // that it does not mask. The notes are nobody's across a switch, as those of MXCSR.
    asm volatile("fnclex\n\tfldcw %0" : : "m"(to.x87_control));
  }
}

// Gives the running code the floating-point control that `context` keeps.
inline void load_floating_point_control(const machine_context& context) noexcept {
  machine_context now;
  switch_floating_point_control(now, context);
}

// Where the stack of a context that does not run ends; meaningless before it has started.
inline const void* stack_pointer_of(const machine_context& context) noexcept {
  return context.stack_pointer;
}

// Makes a switch to `context` call `entry`, which must not return, on the stack below `top`.
inline void start_context(machine_context& context, std::byte* top, std::size_t /*size*/,
                          context_entry entry) noexcept {
  // As after a call: 16-byte aligned once the return address is pushed. The zero ends backtraces.
  auto* const return_address = reinterpret_cast<void**>(top) - 1;
  *return_address = nullptr;
  context.stack_pointer = return_address;
  context.instruction = reinterpret_cast<void*>(entry);
  context.frame = nullptr;
}

// The registers that only AVX-512 has.
#ifdef __AVX512F__
#define WEFT_SWITCH_CLOBBERS_AVX512                                                                \
  , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",      \
      "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", "k3", "k4", "k5",    \
      "k6", "k7"
#else
#define WEFT_SWITCH_CLOBBERS_AVX512
#endif

#define WEFT_SWITCH_CLOBBERS                                                                       \
  "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0",        \
      "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",    \
      "xmm12", "xmm13", "xmm14", "xmm15", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)",       \
      "st(6)", "st(7)", "memory", "cc"

// Leaves `from` and goes on in `to`; returns when something switches back.
[[gnu::always_inline]] inline void switch_context(machine_context& from,
                                                  machine_context& to) noexcept {
  switch_floating_point_control(from, to);
  auto* from_register = &from;
  auto* to_register = &to;
  asm volatile("movq %%rsp, 0(%0)\n\t"
               "leaq 1f(%%rip), %%rax\n\t"
               "movq %%rax, 8(%0)\n\t"
               "movq %%rbp, 16(%0)\n\t"
               "movq 0(%1), %%rsp\n\t"
               "movq 16(%1), %%rbp\n\t"
               "jmpq *8(%1)\n\t"
               ".p2align 4\n"
               "1:\n\t"
               "endbr64"
               : "+D"(from_register), "+S"(to_register)
               :
               : WEFT_SWITCH_CLOBBERS WEFT_SWITCH_CLOBBERS_AVX512);
}

#undef WEFT_SWITCH_CLOBBERS
#undef WEFT_SWITCH_CLOBBERS_AVX512

}  // namespace weft::detail
