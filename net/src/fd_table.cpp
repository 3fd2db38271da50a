#include "fd_table.hpp"

#include <array>
#include <memory>
#include <mutex>
#include <new>

#include <weft/fiber/detail/atomic.hpp>
#include <weft/fiber/detail/planted.hpp>

namespace weft::net::detail {
namespace {

using weft::detail::wait_node;
using weft::detail::waiter;
using weft::detail::wake_reason;

constexpr std::array both{direction::read, direction::write};

record_chunk* chunk_of(std::size_t index) noexcept {
  record_chunk* present = record_table[index].load(std::memory_order_acquire);
  if (present != nullptr) return present;
  if (!heed_forks()) return nullptr;
  std::unique_ptr<record_chunk> fresh{new (std::nothrow) record_chunk};
  if (fresh == nullptr) return nullptr;
  if (record_table[index].compare_exchange_strong(present, fresh.get(),
                                                  std::memory_order_acq_rel)) {
    return fresh.release();
  }
  return present;
}

}  // namespace

constinit std::array<weft::detail::atomic<record_chunk*>, chunk_count> record_table{};

fd_record* open_record(int fd, bool tcp_stream, std::error_code& ec) noexcept {
  const auto index = static_cast<std::size_t>(fd);
  record_chunk* const found =
      index / records_a_chunk < chunk_count ? chunk_of(index / records_a_chunk) : nullptr;
  if (found == nullptr) {
    ec = std::make_error_code(std::errc::not_enough_memory);
    return nullptr;
  }
  fd_record& record = (*found)[index % records_a_chunk];
  // Still in use when somebody closed the descriptor behind our back and the number came again.
  record.lock.lock();
  const bool left_over = record.state() != record_state::free;
  const std::uint32_t generation = record.generation.load(std::memory_order_relaxed);
  record.lock.unlock();
  if (left_over) retire_record(record, generation);
  const std::lock_guard hold{record.lock};
  record.traits.store(tcp_stream ? fd_record::tcp_stream : std::uint16_t{0},
                      std::memory_order_relaxed);
  record.marks = 0;
  record.set_state(record_state::open);
  for (const direction each : both) {
    record.at(each).drained_at = record.at(each).events.load(std::memory_order_relaxed) - 1;
  }
  return &record;
}

retired retire_record(fd_record& record, std::uint32_t generation, record_state if_used) noexcept {
  std::array<wait_node*, 4> evicted{};
  record.lock.lock();
  if (!record.is_generation(generation)) {
    record.lock.unlock();
    return retired::not_at_all;
  }
  record.generation.store(generation + 1, std::memory_order_relaxed);
  record.poller_id.store(0, std::memory_order_relaxed);
  record.traits.store(0, std::memory_order_relaxed);
  std::size_t count = 0;
  for (const direction each : both) {
    evicted[count++] = record.at(each).readiness.claim_all(wake_reason::closed);
    evicted[count++] = record.at(each).turn.claim_all(wake_reason::closed);
  }
  const bool unused = record.end_turns_of_those_away();
  record.set_state(unused ? record_state::free : if_used);
  record.lock.unlock();
  for (wait_node* const each : evicted) weft::detail::resume_all(each);
  return unused ? retired::unused : retired::still_in_use;
}

bool end_turn_locked(fd_record& record, direction which, std::uint32_t generation) noexcept {
  waiter* next = nullptr;
  bool must_close = false;
  if (record.is_generation(generation)) {
    next = record.at(which).turn.claim_first(wake_reason::ready);
    if (next != nullptr) {
      record.add_away(which);
    } else {
      record.end_turn(which);
    }
  } else if ((record.state() == record_state::closing ||
              record.state() == record_state::released) &&
             record.is_generation(generation + 1)) {
    const auto was_busy = record.busy();
    record.remove_busy(which);
    const bool was_last = was_busy != 0 && record.busy() == 0;
    must_close = was_last && record.state() == record_state::closing;
    if (was_last) record.set_state(record_state::free);
  }
  record.lock.unlock();
  weft::detail::resume(next);
  return must_close;
}

namespace {

// With the lock held. Returns whom to resume.
waiter* count_event(fd_direction& side) noexcept {
  side.events.store(side.events.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  return side.readiness.claim_first(wake_reason::ready);
}

}  // namespace

void try_again(fd_record& record, direction which) noexcept {
  record.lock.lock();
  waiter* const woken = count_event(record.at(which));
  record.lock.unlock();
  weft::detail::resume(woken);
}

void report_events(fd_record& record, std::uint32_t generation, std::uint64_t poller_id,
                   std::uint32_t events) noexcept {
  waiter* reader = nullptr;
  waiter* writer = nullptr;
  record.lock.lock();
  const bool same_descriptor =
      record.is_generation(generation) || planted(weft::detail::bug::stale_event);
  if (same_descriptor && record.poller_id.load(std::memory_order_relaxed) == poller_id) {
    record.set_reported(events);
    if ((events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
      reader = count_event(record.at(direction::read));
    }
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
      writer = count_event(record.at(direction::write));
    }
  }
  record.lock.unlock();
  weft::detail::resume(reader);
  weft::detail::resume(writer);
}

}  // namespace weft::net::detail
