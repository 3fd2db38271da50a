#include "control_block.hpp"

#include <algorithm>
#include <new>

namespace weft::detail {

bool control_block::give_name(std::string_view given) noexcept {
  if (given.empty()) return true;
  name.reset();
  name.text = new (std::nothrow) char[given.size() + 1];
  if (name.text == nullptr) return false;
  *std::ranges::copy(given, name.text).out = '\0';
  return true;
}

std::string control_block::display_name() const {
  if (name.text != nullptr) return name.text;
  return "fiber " + std::to_string(static_cast<std::uint64_t>(id));
}

void control_block::judge() noexcept {
  const bool root = cancel_requested.load(std::memory_order_relaxed);
  judgement = verdict_of(innermost_scope, root ? verdict::cancelled : verdict::none);
}

void control_block::announce_end() noexcept {
  join_lock.lock();
  status.store(fiber_status::done, std::memory_order_release);
  wait_node* const waiting = joiners.claim_all(wake_reason::ready);
  join_lock.unlock();
  resume_all(waiting);
}

}  // namespace weft::detail
