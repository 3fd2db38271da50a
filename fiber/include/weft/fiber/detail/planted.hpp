// Bugs that the build of the model checker can switch on, to see that the models find them. In
// every other build there are none, and what asks for them compiles to nothing. Not for users.
#pragma once

#include <cstdint>

namespace weft::detail {

enum class bug : std::uint8_t {
  none,
  // A deadline readies a fiber whose wait something else has ended: boostorg/fiber#128.
  deadline_readies_again,
  // A notification readies a task whose wait has timed out: boostorg/fiber#259.
  notify_readies_again,
  // Between finding that it has to wait and waiting, a sender is not seen: boostorg/fiber#268.
  gap_before_wait,
  // A wait that has timed out stays published, and a later one gets its wake-up: romange/helio#92.
  stale_publication,
  // A worker goes to sleep although it was woken after its last look at the inbox.
  sleeps_although_woken,
  // A claim ends whichever wait is under way, not only the one it has looked at.
  claim_ignores_generation,
  // A wake-up is delivered twice.
  double_wake,
  // A count is given to somebody who has timed out, and lost.
  leaked_count,
  // An event reaches the descriptor that has got the number of the one it was for.
  stale_event,
  // A fiber that was cancelled after a waker had ended its wait does not hear of it in the next.
  fiber_deaf_between_waits,
  // The same of a plain thread.
  thread_deaf_between_waits,
  // A task leaves a scope, and its memory goes, while another thread is still cancelling it.
  leaves_before_told,
  // An event between the look of a reader, which has its turn, and its wait is not seen.
  gap_before_event,
  // A fiber's block goes while its worker still holds the lock under which the fiber has ended.
  frees_held_block,
  // A fiber ends, and perhaps its worker, while another thread is cancelling it.
  ends_while_cancelled,
  // A worker goes while another thread is about to wake it.
  goes_beside_visitors,
};

inline constexpr int bug_count = 16;

#ifdef WEFT_MODEL_CHECK
extern bug planted_bug;

inline bool planted(bug which) noexcept { return planted_bug == which; }
#else
constexpr bool planted(bug /*which*/) noexcept { return false; }
#endif

}  // namespace weft::detail
