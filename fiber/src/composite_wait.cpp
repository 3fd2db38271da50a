#include <utility>

#include <weft/fiber/detail/composite_wait.hpp>
#include <weft/fiber/detail/wait_note.hpp>

namespace weft::detail {

composite_wait::composite_wait() noexcept : mine_(begin_wait(wake_reason::armed_in_several)) {}

composite_wait::~composite_wait() { abandon(); }

void composite_wait::add(entry& place) noexcept {
  place.node.owner = &mine_;
  place.next = std::exchange(published_, &place);
  place.list->push_back(place.node);
}

wake_reason composite_wait::wait(deadline_clock::time_point deadline, cancellation mode) {
  if (!std::exchange(ended_, true)) {
    note_wait(wait_kind::several);
    finish_wait(deadline, mode);
    withdraw();
  }
  return mine_.reason();
}

bool composite_wait::abandon() noexcept {
  if (std::exchange(ended_, true)) return true;
  const bool by_ourselves = mine_.claim(wake_reason::ready);
  // Whoever was faster is going to resume the task, which has to be waiting for that.
  note_wait(wait_kind::several);
  if (!by_ourselves) finish_wait(no_deadline, cancellation::ignored);
  withdraw();
  return by_ourselves;
}

void composite_wait::withdraw() noexcept {
  for (entry* each = std::exchange(published_, nullptr); each != nullptr; each = each->next) {
    each->withdraw(*each);
  }
}

}  // namespace weft::detail
