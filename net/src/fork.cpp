// The child of a fork(2) inherits the descriptors, and nothing of what the parent waits for on
// them.
#include <array>
#include <unistd.h>

#include <weft/fiber/detail/fork.hpp>

#include "descriptor_shortage.hpp"
#include "fd_table.hpp"
#include "poller.hpp"

namespace weft::net::detail {
namespace {

void forget_waits(fd_record& record, int fd) noexcept {
  record.lock.forget_holder();
  record.poller_id.store(0, std::memory_order_relaxed);
  for (const direction each : {direction::read, direction::write}) {
    fd_direction& side = record.at(each);
    side.readiness = side.turn = {};
    side.drained_at = side.events.load(std::memory_order_relaxed) - 1;
    record.end_turn(each);
  }
  const record_state state = record.state();
  if (state == record_state::closing) ::close(fd);  // who should have done it is not there
  if (state != record_state::open) record.set_state(record_state::free);
}

void forget_all_waits() noexcept {
  for (std::size_t i = 0; i < chunk_count; ++i) {
    record_chunk* const chunk = record_table[i].load(std::memory_order_relaxed);
    for (std::size_t j = 0; chunk != nullptr && j < records_a_chunk; ++j) {
      forget_waits((*chunk)[j], static_cast<int>(i * records_a_chunk + j));
    }
  }
}

void forget_parent() noexcept {
  forget_pollers_of_parent();
  forget_all_waits();
  shortage_of_descriptors.forget_waits();
}

}  // namespace

bool heed_forks() noexcept {
  static constinit weft::detail::fork_hook hook{&hold_pollers, &release_pollers, &forget_parent};
  return weft::detail::heed_forks(hook);
}

}  // namespace weft::net::detail
