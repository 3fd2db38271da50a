// The seam between the scheduler and the machine: one of two back ends, chosen when weft is built.
//
// A back end offers machine_context, start_context(context, stack top, size, entry),
// switch_context(from, to), stack_pointer_of(context), read_ and
// load_floating_point_control(context). In the library only scheduler.cpp may switch.
#pragma once

#if defined(WEFT_CONTEXT_NATIVE)
#include "native.hpp"  // IWYU pragma: export
#elif defined(WEFT_CONTEXT_FCONTEXT)
#include "boost_fcontext.hpp"  // IWYU pragma: export
#else
#error "one of WEFT_CONTEXT_NATIVE and WEFT_CONTEXT_FCONTEXT must be defined"
#endif
