// Where a process has a symbol.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>

namespace weft::ps {

/// Returns the address of a variable of this name in the process: in its program, or in one of its
/// libraries; nothing if no file that it has mapped has such a symbol.
///
/// Errors: throws std::system_error of what reading /proc/PID/maps says.
std::optional<std::uint64_t> address_of_symbol(pid_t process, const std::string& name);

}  // namespace weft::ps
