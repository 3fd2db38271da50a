#include <system_error>
#include <unistd.h>

#include <weft/fiber/runtime.hpp>

#include "scheduler.hpp"
#include "stack_memory.hpp"

namespace weft {

struct runtime::state {
  explicit state(const runtime_options& options) : worker(options) {}

  detail::scheduler worker;
};

runtime::runtime(runtime_options options) {
  if (!detail::stack_pool::class_of(options.stack_size)) {
    throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                            "weft::runtime: a stack may have at most 1 GiB");
  }
  if (::sysconf(_SC_PAGESIZE) != detail::page_size) {
    throw std::system_error(std::make_error_code(std::errc::not_supported),
                            "weft::runtime: this kernel's pages are not of 4 KiB");
  }
  state_ = std::make_unique<state>(options);
}

runtime::~runtime() = default;

void runtime::request_stop() noexcept { state_->worker.request_stop(); }

void runtime::run_main(detail::task_base& main_task) { state_->worker.run(main_task); }

}  // namespace weft
