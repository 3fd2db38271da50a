#include <algorithm>
#include <bit>
#include <mutex>
#include <new>
#include <system_error>

#include <weft/fiber/detail/planted.hpp>
#include <weft/fiber/detail/worker.hpp>
#include <weft/fiber/error.hpp>
#include <weft/fiber/fiber.hpp>
#include <weft/fiber/runtime.hpp>
#include <weft/fiber/this_fiber.hpp>

#include "control_block.hpp"
#include "scheduler.hpp"
#include "unhandled.hpp"
#include "worker_group.hpp"

namespace weft {
namespace detail {
bool is_cancellation(const std::exception_ptr& failure) noexcept {
  try {
    std::rethrow_exception(failure);
  } catch (const std::system_error& error) {
    return error.code() == errc::cancelled;
  } catch (...) {
    return false;
  }
}

void note_outcome(control_block& block) noexcept {
  task_base& task = *block.task;
  task.cancelled = task.failure && block.cancel_requested.load(std::memory_order_relaxed) &&
                   is_cancellation(task.failure);
}

void drop_task(control_block& block) noexcept {
  report_unless_retrieved(block);
  task_base* const task = std::exchange(block.task, nullptr);
  if (block.heap_task_alignment_log2 == 0) return task->~task_base();
  void* const place = dynamic_cast<void*>(task);
  task->~task_base();
  free_task_storage(block, place);
}

std::exception_ptr retrieve_failure(const control_block& block) noexcept {
  if (block.task->failure) block.task->retrieved.store(true, std::memory_order_relaxed);
  return block.task->failure;
}

namespace {

bool is_done(const control_block& block) noexcept {
  // Pairs with the store in announce_end(): what came of the fiber is seen.
  return block.status.load(std::memory_order_acquire) == fiber_status::done;
}

// Of a fiber that has ended, by who has given up the last share.
void drop_ended(control_block& block) noexcept {
  drop_task(block);
  release_reference(block);
}

}  // namespace

void add_share(control_block& block) noexcept {
  const std::lock_guard hold{block.join_lock};
  block.shares.store(static_cast<std::uint8_t>(block.shares.load(std::memory_order_relaxed) + 1),
                     std::memory_order_relaxed);
}

void give_up_share(control_block& block) noexcept {
  // After the end nobody can add one. Pairs with the store below: who has the only share sees what
  // the others did.
  if (is_done(block) && block.shares.load(std::memory_order_acquire) == 1) {
    return drop_ended(block);
  }
  block.join_lock.lock();
  const auto left = static_cast<std::uint8_t>(block.shares.load(std::memory_order_relaxed) - 1);
  block.shares.store(left, std::memory_order_release);
  const bool was_last = left == 0 && is_done(block);
  block.join_lock.unlock();
  if (was_last) drop_ended(block);
}

void add_reference(control_block& block, std::uint32_t count) noexcept {
  if (__libc_single_threaded != 0) {
    block.references.store(block.references.load(std::memory_order_relaxed) + count,
                           std::memory_order_relaxed);
  } else {
    block.references.fetch_add(count, std::memory_order_relaxed);
  }
}

namespace {

// Whether it was the last one.
bool take_reference(control_block& block) noexcept {
  // Who has the only one needs no exchange: nobody else can add to it or take from it. Pairs with
  // the decrements of the others.
  if (block.references.load(std::memory_order_acquire) == 1) {
    block.references.store(0, std::memory_order_relaxed);
    return true;
  }
  if (__libc_single_threaded == 0) {
    return block.references.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }
  block.references.store(block.references.load(std::memory_order_relaxed) - 1,
                         std::memory_order_relaxed);
  return false;
}

}  // namespace

void release_reference(control_block& block) noexcept {
  if (!take_reference(block)) return;
  // Who has seen that the fiber is done may be here before the one who has said so is out.
  if (!planted(bug::frees_held_block)) block.join_lock.wait_until_free();
  block_slab::free(block);
}

scheduler* worker_at(std::size_t index, std::error_code& ec) noexcept {
  worker_group& workers = require_scheduler().siblings();
  if (index < workers.size()) return &workers.at(index);
  ec = std::make_error_code(std::errc::invalid_argument);
  return nullptr;
}

scheduler* worker_at(std::size_t index) {
  std::error_code ec;
  scheduler* const worker = worker_at(index, ec);
  if (!ec) return worker;
  throw std::system_error(
      ec, "weft::spawn_on: there is no worker " + std::to_string(index) + "; the runtime has " +
              std::to_string(require_scheduler().siblings().size()) + ", counted from 0");
}

scheduler* least_loaded_worker() { return &require_scheduler().siblings().least_loaded(); }

control_block* reserve_fiber(const spawn_options& options, const spawn_place& place,
                             std::error_code& ec) {
  const scheduler* const mine = scheduler::running();
  scheduler& worker = place.worker != nullptr ? *place.worker : require_scheduler();
  // As other workers are refused. What a fiber spawns beside itself is cancelled with it instead.
  const bool refused = place.worker != nullptr && &worker == mine && worker.is_ending();
  if (refused) ec = errc::closed;
  control_block* const block = refused ? nullptr : worker.reserve(options, place, ec);
  // A fiber that has been cancelled with the runtime is told so, and ends as such.
  if (block == nullptr && ec == errc::closed && mine != nullptr &&
      current_verdict() == verdict::cancelled) {
    ec = errc::cancelled;
  }
  return block;
}

void* task_storage(control_block& block, std::size_t size, std::size_t alignment,
                   std::error_code& ec) noexcept {
  block.heap_task_alignment_log2 = 0;
  if (size <= inline_task_size && alignment <= 16) return block.task_space;
  const std::size_t aligned = std::max<std::size_t>(alignment, 16);
  void* const place = ::operator new(size, std::align_val_t{aligned}, std::nothrow);
  if (place == nullptr) ec = std::make_error_code(std::errc::not_enough_memory);
  block.heap_task_alignment_log2 = static_cast<std::uint8_t>(std::countr_zero(aligned));
  return place;
}

void free_task_storage(control_block& block, void* place) noexcept {
  if (block.heap_task_alignment_log2 == 0) return;
  ::operator delete(place, std::align_val_t{std::size_t{1} << block.heap_task_alignment_log2});
}

void start_fiber(control_block& block, task_base& task) noexcept {
  block.owner().start(block, task);
}

void abandon_fiber(control_block& block) noexcept { block.owner().abandon(block); }

void detach_fiber(control_block& block) noexcept {
  block.detached.store(true, std::memory_order_relaxed);
  give_up_share(block);
}

void throw_spawn_error(std::error_code ec) {
  if (ec == std::errc::invalid_argument) {
    throw std::system_error(ec, "weft::spawn: a stack may have at most 1 GiB");
  }
  if (ec == errc::closed || ec == errc::cancelled) {
    throw std::system_error(ec, "weft::spawn: the runtime is ending");
  }
  throw std::system_error(ec, std::string("weft::spawn: no memory for another fiber") +
                                  how_to_get_stacks);
}

}  // namespace detail

using detail::control_block;

namespace {

void require_fiber(const control_block* block, const char* what) {
  if (block == nullptr) {
    throw std::system_error(std::make_error_code(std::errc::invalid_argument), what);
  }
}

}  // namespace

any_fiber& any_fiber::operator=(any_fiber&& other) noexcept {
  if (this != &other) {
    // Exchanged before the wait, in which others may use either handle.
    end(std::exchange(block_, std::exchange(other.block_, nullptr)));
  }
  return *this;
}

any_fiber::~any_fiber() { end(std::exchange(block_, nullptr)); }

namespace {

using detail::is_done;

void note_join(const control_block& joined) noexcept {
  detail::note_wait(detail::wait_kind::fiber, joined.number());
}

// Returns `ready`, or why the caller gave up. Afterwards the block may be gone, if the handle is.
detail::wake_reason wait_for_end(control_block& block, detail::cancellation mode) {
  block.join_lock.lock();
  if (is_done(block)) {
    block.join_lock.unlock();
    return detail::wake_reason::ready;
  }
  note_join(block);
  detail::wait_node& node = detail::begin_wait().node;
  block.joiners.push_back(node);
  block.join_lock.unlock();
  const auto reason = detail::finish_wait(detail::no_deadline, mode);
  if (detail::must_withdraw(reason)) block.withdraw_joiner(node);
  return reason;
}

}  // namespace

// With the lock, under which a fiber ends: its worker is there as long as it is held.
void detail::cancel_fiber(control_block& block) noexcept {
  if (planted(bug::ends_while_cancelled)) {
    if (!is_done(block)) block.owner().cancel(block);
    return;
  }
  const std::lock_guard hold{block.join_lock};
  if (!is_done(block)) block.owner().cancel(block);
}

void any_fiber::end(control_block* block) noexcept {
  if (block == nullptr) return;
  if (!is_done(*block)) {
    detail::cancel_fiber(*block);
    if (this_fiber::get_id() == block->id) {
      detail::misuse("a fiber destroyed its own handle, which would wait for itself");
    }
    wait_for_end(*block, detail::cancellation::ignored);
  }
  // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the handle's own share is still there
  detail::give_up_share(*block);
}

namespace {

// The handle may stand for another fiber afterwards, or for none.
void join_another(control_block& block, std::error_code& ec) {
  if (detail::refuse_if_cancelled(ec)) return;
  if (is_done(block)) {
    detail::spend_budget();
  } else {
    detail::set_error_of(wait_for_end(block, detail::cancellation::honoured), ec);
  }
}

}  // namespace

detail::joining::joining(control_block* joined, error_to error) noexcept
    : co_list_operation(error, no_deadline), block_(joined) {}

bool detail::joining::start() noexcept { return co_list_operation::start(); }

bool detail::joining::go_on() noexcept { return co_list_operation::go_on(); }

bool detail::joining::try_now(std::error_code& ec) noexcept {
  if (block_ == nullptr) {
    ec = std::make_error_code(std::errc::invalid_argument);
    return true;
  }
  const scheduler* const worker = scheduler::running();
  if (worker != nullptr && worker->is_current(*block_)) {
    ec = std::make_error_code(std::errc::resource_deadlock_would_occur);
    return true;
  }
  if (is_done(*block_)) return true;
  block_->join_lock.lock();
  if (!is_done(*block_)) return false;
  block_->join_lock.unlock();
  return true;
}

detail::wait_list& detail::joining::list() noexcept { return block_->joiners; }

void detail::joining::withdraw(wait_node& node) noexcept { block_->withdraw_joiner(node); }

detail::spin_lock& detail::joining::lock() noexcept { return block_->join_lock; }

void detail::joining::note() const noexcept { note_join(*block_); }

void any_fiber::join(std::error_code& ec) {
  if (ec) ec.clear();
  if (block_ == nullptr) {
    ec = std::make_error_code(std::errc::invalid_argument);
  } else if (this_fiber::get_id() == block_->id) {
    ec = std::make_error_code(std::errc::resource_deadlock_would_occur);
  } else {
    join_another(*block_, ec);
  }
}

void any_fiber::join() {
  std::error_code ec;
  join(ec);
  if (!ec) return;
  const char* what = "fiber::join";
  if (ec == std::errc::invalid_argument) what = "fiber::join of an empty handle";
  if (ec == std::errc::resource_deadlock_would_occur) what = "fiber::join of the fiber itself";
  throw std::system_error(ec, what);
}

void any_fiber::detach() noexcept {
  if (block_ != nullptr) detail::detach_fiber(*std::exchange(block_, nullptr));
}

void any_fiber::request_cancel() noexcept {
  if (block_ != nullptr && !done()) detail::cancel_fiber(*block_);
}

bool any_fiber::done() const noexcept { return block_ == nullptr || is_done(*block_); }

fiber_id any_fiber::get_id() const noexcept { return block_ != nullptr ? block_->id : fiber_id{}; }

std::string any_fiber::name() const { return block_ != nullptr ? block_->display_name() : ""; }

fiber_state any_fiber::state() const {
  require_fiber(block_, "fiber::state of an empty handle");
  // Pairs with the store in announce_end(), as in is_done().
  switch (block_->status.load(std::memory_order_acquire)) {
  case detail::fiber_status::started:
  case detail::fiber_status::resting: return fiber_state::running;
  case detail::fiber_status::done: break;
  default: return fiber_state::pending;
  }
  if (!task().failure) return fiber_state::completed;
  return task().cancelled ? fiber_state::cancelled : fiber_state::failed;
}

std::exception_ptr any_fiber::exception() const {
  require_fiber(block_, "the outcome of an empty handle");
  if (!done()) {
    throw std::system_error(std::make_error_code(std::errc::operation_in_progress),
                            "the outcome of a fiber before it has ended; join it first");
  }
  return detail::retrieve_failure(*block_);
}

void any_fiber::require_value() const {
  if (const std::exception_ptr failure = exception()) std::rethrow_exception(failure);
}

detail::task_base& any_fiber::task() const noexcept { return *block_->task; }

}  // namespace weft
