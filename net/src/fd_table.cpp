#include "fd_table.hpp"

#include <array>
#include <memory>
#include <mutex>
#include <new>
#include <sys/epoll.h>

#include <weft/fiber/detail/atomic.hpp>

namespace weft::net::detail {
namespace {

using weft::detail::wait_node;
using weft::detail::waiter;
using weft::detail::wake_reason;

constexpr std::array both{direction::read, direction::write};

constexpr std::size_t records_a_chunk = 1024;
// Covers fs.nr_open up to 16 million, 16 times its default.
constexpr std::size_t chunk_count = std::size_t{16} * 1024;

struct alignas(64) padded_record : fd_record {};

static_assert(sizeof(padded_record) == 64, "one cache line a descriptor");

using chunk = std::array<padded_record, records_a_chunk>;

// Chunks are never freed: events and fibers that come late still find their record. The exchange in
// chunk_of() pairs with the load there and in find_record(): a chunk is seen constructed.
constinit std::array<weft::detail::atomic<chunk*>, chunk_count> table{};

chunk* chunk_of(std::size_t index) noexcept {
  chunk* present = table[index].load(std::memory_order_acquire);
  if (present != nullptr) return present;
  std::unique_ptr<chunk> fresh{new (std::nothrow) chunk};
  if (fresh == nullptr) return nullptr;
  if (table[index].compare_exchange_strong(present, fresh.get(), std::memory_order_acq_rel)) {
    return fresh.release();
  }
  return present;
}

}  // namespace

bool fd_record::short_read_means_drained() const noexcept {
  constexpr std::uint16_t untrustworthy = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI;
  return tcp_stream && (last_events.load(std::memory_order_relaxed) & untrustworthy) == 0;
}

fd_record* open_record(int fd, bool tcp_stream, std::error_code& ec) noexcept {
  const auto index = static_cast<std::size_t>(fd);
  chunk* const found =
      index / records_a_chunk < chunk_count ? chunk_of(index / records_a_chunk) : nullptr;
  if (found == nullptr) {
    ec = std::make_error_code(std::errc::not_enough_memory);
    return nullptr;
  }
  fd_record& record = (*found)[index % records_a_chunk];
  // Still in use when somebody closed the descriptor behind our back and the number came again.
  record.lock.lock();
  const bool left_over = record.state != record_state::free;
  record.lock.unlock();
  if (left_over) retire_record(record);
  const std::lock_guard hold{record.lock};
  record.tcp_stream = tcp_stream;
  record.state = record_state::open;
  record.busy = record.away = 0;
  for (const direction each : both) {
    record.at(each).drained_at = record.at(each).events.load(std::memory_order_relaxed) - 1;
  }
  return &record;
}

bool retire_record(fd_record& record) noexcept {
  std::array<wait_node*, 4> evicted{};
  record.lock.lock();
  record.generation.store(record.generation.load(std::memory_order_relaxed) + 1,
                          std::memory_order_relaxed);
  record.poller_id.store(0, std::memory_order_relaxed);
  record.last_events.store(0, std::memory_order_relaxed);
  std::size_t count = 0;
  for (const direction each : both) {
    evicted[count++] = record.at(each).readiness.claim_all(wake_reason::closed);
    evicted[count++] = record.at(each).turn.claim_all(wake_reason::closed);
  }
  record.busy = static_cast<std::uint8_t>(record.busy & ~record.away);
  record.away = 0;
  const bool unused = record.busy == 0;
  record.state = unused ? record_state::free : record_state::closing;
  record.lock.unlock();
  for (wait_node* const each : evicted) weft::detail::resume_all(each);
  return unused;
}

bool end_turn(fd_record& record, direction which, std::uint32_t generation) noexcept {
  waiter* next = nullptr;
  bool must_close = false;
  record.lock.lock();
  if (record.is_generation(generation)) {
    next = record.at(which).turn.claim_first(wake_reason::ready);
    if (next != nullptr) {
      record.away |= only(which);
    } else {
      record.busy = static_cast<std::uint8_t>(record.busy & ~only(which));
    }
  } else if (record.state == record_state::closing && record.is_generation(generation + 1)) {
    const auto was_busy = record.busy;
    record.busy = static_cast<std::uint8_t>(record.busy & ~only(which));
    must_close = was_busy != 0 && record.busy == 0;
    if (must_close) record.state = record_state::free;
  }
  record.lock.unlock();
  weft::detail::resume(next);
  return must_close;
}

fd_record* find_record(int fd) noexcept {
  const auto index = static_cast<std::size_t>(fd);
  chunk* const found = table[index / records_a_chunk].load(std::memory_order_acquire);
  return found != nullptr ? &(*found)[index % records_a_chunk] : nullptr;
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

void report_events(fd_record& record, std::uint32_t generation, std::uint32_t poller_id,
                   std::uint32_t events) noexcept {
  waiter* reader = nullptr;
  waiter* writer = nullptr;
  record.lock.lock();
  if (record.is_generation(generation) &&
      record.poller_id.load(std::memory_order_relaxed) == poller_id) {
    record.last_events.store(static_cast<std::uint16_t>(events), std::memory_order_relaxed);
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
