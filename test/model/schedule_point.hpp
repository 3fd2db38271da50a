// Where the scheduler of a model run comes in: around every access to an atomic of the core.
//
// Threads: those of a run, each for itself; on any other thread nothing happens.
#pragma once

#include <cstdint>
#include <source_location>

namespace weft::model {

enum class access : std::uint8_t { load, store, exchange, compare_exchange, fetch_add, fetch_sub };

/// Lets the scheduler choose who goes on: others may run before this returns.
void before_access() noexcept;

/// Keeps the access, which has just been made, for the trace, and lets those go on that wait for a
/// change of `object`, if that is one.
void after_access(access kind, const void* object, std::uint64_t before, std::uint64_t after,
                  const std::source_location& where) noexcept;

}  // namespace weft::model
