#include <cstdlib>
#include <cxxabi.h>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <typeinfo>
#include <utility>

#include <weft/fiber/diagnostics.hpp>
#include <weft/fiber/unhandled_error.hpp>

#include "process_mutex.hpp"
#include "unhandled.hpp"

namespace weft {
namespace {

// The handler is called without it, so that it may drop fibers that have failed, or set another
// one.
constinit detail::process_mutex handler_lock;
[[maybe_unused]] const bool forks_heed_handler_lock = handler_lock.list();
std::shared_ptr<const unhandled_error_handler> current_handler;

std::shared_ptr<const unhandled_error_handler> handler() {
  const std::lock_guard hold{handler_lock};
  return current_handler;
}

std::string name_of_current_exception() {
  const std::type_info* const type = abi::__cxa_current_exception_type();
  if (type == nullptr) return "unknown";  // of another language
  int status = 0;
  char* const readable = abi::__cxa_demangle(type->name(), nullptr, nullptr, &status);
  std::string result = status == 0 ? readable : type->name();
  std::free(readable);
  return result;
}

std::string describe(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "of type " + name_of_current_exception();
  }
}

std::string describe(const unhandled_error& error) {
  return "fiber \"" + std::string(error.fiber_name) +
         "\" ended by an exception that was never retrieved: " + describe(error.exception);
}

}  // namespace

unhandled_error_handler set_unhandled_error_handler(unhandled_error_handler replacement) {
  auto next = replacement ? std::make_shared<const unhandled_error_handler>(std::move(replacement))
                          : nullptr;
  {
    const std::lock_guard hold{handler_lock};
    current_handler.swap(next);
  }
  return next != nullptr ? *next : unhandled_error_handler{};
}

namespace {

void report(const unhandled_error& error) {
  const auto chosen = handler();
  if (chosen == nullptr) return diagnose(describe(error));
  try {
    (*chosen)(error);
  } catch (...) {
    diagnose("the unhandled-error handler threw " + describe(std::current_exception()) +
             "; it was told that " + describe(error));
  }
}

}  // namespace

void detail::report_failure(const control_block& block) noexcept {
  task_base& task = *block.task;
  if (task.retrieved.exchange(true, std::memory_order_relaxed)) return;
  try {
    const std::string name = block.display_name();
    report({name, block.id, task.failure});
  } catch (const std::bad_alloc&) {
    diagnose("a fiber ended by an exception that was never retrieved; there is no memory to say "
             "which");
  }
}

}  // namespace weft
