#include "fd_table.hpp"

#include <array>
#include <memory>
#include <new>
#include <sys/epoll.h>

#include <weft/fiber/detail/atomic.hpp>

namespace weft::net::detail {
namespace {

using weft::detail::wake_reason;

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
  return tcp_stream && (last_events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)) == 0;
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
  // Still open when somebody closed the descriptor behind our back and the number came again.
  if (record.open.load(std::memory_order_acquire)) retire_record(record);
  record.tcp_stream = tcp_stream;
  record.open.store(true, std::memory_order_relaxed);
  for (fd_direction& each : record.directions) each.ready = true;
  return &record;
}

void retire_record(fd_record& record) noexcept {
  record.generation.store(record.generation.load(std::memory_order_relaxed) + 1,
                          std::memory_order_relaxed);
  record.poller_id = 0;
  record.last_events = 0;
  for (fd_direction& each : record.directions) {
    each.busy = false;
    each.readiness.wake_all(wake_reason::closed);
    each.turn.wake_all(wake_reason::closed);
  }
  record.open.store(false, std::memory_order_release);
}

fd_record* find_record(int fd) noexcept {
  const auto index = static_cast<std::size_t>(fd);
  chunk* const found = table[index / records_a_chunk].load(std::memory_order_acquire);
  return found != nullptr ? &(*found)[index % records_a_chunk] : nullptr;
}

void try_again(fd_record& record, direction which) noexcept {
  fd_direction& side = record.at(which);
  side.ready = true;
  side.readiness.wake_one(wake_reason::ready);
}

void report_events(fd_record& record, std::uint32_t events) noexcept {
  record.last_events = events;
  if ((events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
    try_again(record, direction::read);
  }
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) try_again(record, direction::write);
}

}  // namespace weft::net::detail
