// Which limit is behind a failure: how many open files, how much memory, how many threads.
//
// Plain POSIX. Threads: any.
#pragma once

#include <exception>
#include <new>
#include <string>
#include <sys/resource.h>
#include <system_error>

namespace example {

namespace detail {
// The soft limit of `resource` in units of `unit`, as a person reads it.
inline std::string limit_text(decltype(RLIMIT_NOFILE) resource, rlim_t unit = 1) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0) return "unknown";
  return limit.rlim_cur == RLIM_INFINITY ? "unlimited" : std::to_string(limit.rlim_cur / unit);
}
}  // namespace detail

/// Returns the limit that `error` has met, ready to follow its message, such as
/// `; the limit is 24 (ulimit -n)`; empty for an error that is no shortage.
inline std::string limit_behind(std::error_code error) {
  constexpr rlim_t kilobyte = 1024;  // the unit of ulimit -v
  if (error == std::errc::too_many_files_open) {
    return "; the limit is " + detail::limit_text(RLIMIT_NOFILE) + " (ulimit -n)";
  }
  if (error == std::errc::too_many_files_open_in_system) {
    return "; the limit of the system is in /proc/sys/fs/file-max";
  }
  const std::string memory =
      detail::limit_text(RLIMIT_AS, kilobyte) + " kB of address space (ulimit -v)";
  if (error == std::errc::not_enough_memory) return "; the limit is " + memory;
  // What pthread_create(3) says, of memory for the stack as well as of the number of threads.
  if (error == std::errc::resource_unavailable_try_again) {
    return "; the limits are " + memory + " and " + detail::limit_text(RLIMIT_NPROC) +
           " threads (ulimit -u), of the system /proc/sys/kernel/threads-max";
  }
  return {};
}

/// Returns what `error` says, and the limit that it has met unless it says that already.
inline std::string with_limit(const std::exception& error) {
  std::string text = error.what();
  std::error_code code;
  if (const auto* const system = dynamic_cast<const std::system_error*>(&error)) {
    code = system->code();
  } else if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    text = "out of memory";
    code = std::make_error_code(std::errc::not_enough_memory);
  }
  const std::string limit = limit_behind(code);
  return text.find(limit) == std::string::npos ? text + limit : text;
}

}  // namespace example
