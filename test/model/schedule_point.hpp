// Where the scheduler of a model run comes in: around every access to an atomic of the core.
//
// Threads: those of a run, each for itself; on any other thread nothing happens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>

namespace weft::model {

enum class access : std::uint8_t { load, store, exchange, compare_exchange, fetch_add, fetch_sub };

/// Lets the scheduler choose who goes on: others may run before this returns. Fails the run if
/// `object` is then in memory that is forbidden.
void before_access(const void* object = nullptr,
                   const std::source_location& where = std::source_location::current()) noexcept;

/// Keeps the access, which has just been made, for the trace, and lets those go on that wait for a
/// change of `object`, if that is one.
void after_access(access kind, const void* object, std::uint64_t before, std::uint64_t after,
                  const std::source_location& where) noexcept;

/// Nobody may access an atomic there from now on; and again somebody may. One at a time.
void forbid(const void* place, std::size_t size) noexcept;
void permit(const void* place, std::size_t size) noexcept;

}  // namespace weft::model
