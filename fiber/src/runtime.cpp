#include <new>
#include <system_error>
#include <unistd.h>

#include <weft/fiber/detail/fork.hpp>
#include <weft/fiber/runtime.hpp>

#include "scheduler.hpp"
#include "stack_memory.hpp"
#include "worker_group.hpp"

namespace weft {
namespace {

void require(bool condition, std::errc code, const char* what) {
  if (!condition) throw std::system_error(std::make_error_code(code), what);
}

}  // namespace

struct runtime::state {
  explicit state(const runtime_options& options) : workers(options) {}

  detail::worker_group workers;
};

runtime::runtime(runtime_options options) {
  require(detail::stack_pool::class_of(options.stack_size).has_value(), std::errc::invalid_argument,
          "weft::runtime: a stack may have at most 1 GiB");
  require(options.workers >= 1 && options.workers <= 1024, std::errc::invalid_argument,
          "weft::runtime: there may be 1 to 1,024 workers");
  require(options.clock == nullptr || options.workers == 1, std::errc::invalid_argument,
          "weft::runtime: virtual time needs a single worker");
  require(::sysconf(_SC_PAGESIZE) == detail::page_size, std::errc::not_supported,
          "weft::runtime: this kernel's pages are not of 4 KiB");
  detail::cancelled_before_start();
  if (!detail::heed_forks()) throw std::bad_alloc{};
  state_ = std::make_unique<state>(options);
}

runtime::~runtime() = default;

void runtime::request_stop() noexcept { state_->workers.at(0).request_stop(); }

void runtime::run_main(detail::task_base& main_task) { state_->workers.run(main_task); }

detail::scheduler* runtime::worker(std::size_t index) const noexcept {
  return &state_->workers.at(index);
}

}  // namespace weft
