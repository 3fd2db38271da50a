#include "control_block.hpp"

#include <algorithm>
#include <new>

#include <weft/fiber/detail/planted.hpp>

#include "scheduler.hpp"

namespace weft::detail {

bool control_block::give_name(std::string_view given) noexcept {
  if (given.empty()) return true;
  name.reset();
  auto* const text = new (std::nothrow) char[given.size() + 1];
  if (text == nullptr) return false;
  *std::ranges::copy(given, text).out = '\0';
  name.text = text;  // only now, for a dump may come
  return true;
}

std::string control_block::display_name() const {
  if (const char* const given = name.text) return given;
  return "fiber " + std::to_string(number());
}

namespace {

verdict look_at(const control_block& block) noexcept {
  const bool root = block.cancel_requested.load(std::memory_order_relaxed);
  return verdict_of(block.innermost_scope, root ? verdict::cancelled : verdict::none);
}

}  // namespace

void control_block::judge() noexcept {
  verdict now = look_at(*this);
  // Nothing is written, so that nothing is lost of what somebody asks at this moment.
  if (now == verdict::none && judgement.load(std::memory_order_relaxed) == verdict::none) return;
  // Pairs with the store in ask_to_judge(): what was cancelled before it is seen by another look.
  while (judgement.exchange(now, std::memory_order_acquire) == verdict::asked) {
    now = look_at(*this);
  }
}

verdict control_block::judged() noexcept {
  for (;;) {
    const verdict now = judgement.load(std::memory_order_relaxed);
    if (now != verdict::asked) return now;
    judge();
  }
}

control_block::end control_block::announce_end() noexcept {
  join_lock.lock();
  const bool is_shared = shares.load(std::memory_order_relaxed) != 0;
  if (!is_shared && task != nullptr) {
    join_lock.unlock();
    return end::with_a_task;
  }
  wait_node* const waiting = joiners.claim_all(wake_reason::ready);
  if (!joiners.empty()) add_reference(*this, static_cast<std::uint32_t>(joiners.size()));
  // Last: who sees it may give up the last share without the lock. Pairs with the load in
  // is_done().
  status.store(fiber_status::done, std::memory_order_release);
  join_lock.unlock();
  resume_all(waiting);
  return is_shared ? end::shared : end::unshared;
}

// The block is there: until its end the fiber has it, and then, if the node is still in the list,
// the joiner.
void control_block::withdraw_joiner(wait_node& node) noexcept {
  join_lock.lock();
  const bool has_reference = node.linked() && has_status(fiber_status::done);
  if (node.linked() && !planted(bug::stale_publication)) joiners.remove(node);
  join_lock.unlock();
  if (has_reference) release_reference(*this);
}

}  // namespace weft::detail
