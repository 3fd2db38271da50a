#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <unistd.h>

#include <weft/fiber/detail/wait_note.hpp>
#include <weft/fiber/dump.hpp>

#include "registry.hpp"
#include "scheduler.hpp"
#include "wait_text.hpp"
#include "worker_group.hpp"

namespace weft::detail {
namespace {

using number = unsigned long long;  // as printf has it

number number_of(fiber_id id) noexcept { return static_cast<number>(id); }

// Lines to a file or to a descriptor, without memory of their own.
class line_writer {
public:
  explicit line_writer(int descriptor) noexcept : descriptor_(descriptor) {}

  explicit line_writer(std::FILE* file) noexcept : file_(file) {}

  // What does not fit into the line is cut off.
  [[gnu::format(printf, 2, 3)]] void add(const char* format, ...) noexcept {
    const std::size_t room = line_.size() - size_;
    std::va_list arguments;
    va_start(arguments, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start has just made it
    const int size = std::vsnprintf(line_.data() + size_, room, format, arguments);
    va_end(arguments);
    if (size > 0) size_ += std::min(static_cast<std::size_t>(size), room - 1);
  }

  void end_line() noexcept {
    line_[size_++] = '\n';  // in the place of the zero
    if (file_ != nullptr) {
      std::fwrite(line_.data(), 1, size_, file_);  // ferror() tells of a failure
    } else {
      // Nobody is left to be told when it fails.
      [[maybe_unused]] const auto written = ::write(descriptor_, line_.data(), size_);
    }
    size_ = 0;
  }

private:
  std::array<char, 512> line_{};
  std::size_t size_ = 0;
  std::FILE* file_ = nullptr;
  int descriptor_ = -1;
};

// "waits for mutex 0x55d0c8a3b2a0, for 12.3 s"
void add_wait(line_writer& out, const control_block& block) noexcept {
  const wait_note note = block.waits_for;
  const wait_kind kind = kind_of(note);
  out.add("%s", purpose_of(kind));
  switch (object_kind_of(kind)) {
  case wait_object::none: break;
  case wait_object::number: out.add(" %llu", number{object_of(note)}); break;
  case wait_object::address: out.add(" 0x%llx", number{object_of(note)}); break;
  }
  const std::uint32_t milliseconds = coarse_milliseconds() - block.waits_since;
  out.add(", for %u.%u s", milliseconds / 1'000, milliseconds / 100 % 10);
}

void add_state(line_writer& out, const control_block& block, const scheduler& owner) noexcept {
  if (block.has_status(fiber_status::arriving) || block.has_status(fiber_status::unstarted)) {
    return out.add("has not started");
  }
  if (block.has_status(fiber_status::done)) return out.add("has ended");
  if (block.wait.armed()) return add_wait(out, block);
  out.add("%s", &block == owner.current_if_any() ? "runs" : "is ready");
}

// Only of fibers of the calling thread: the others use theirs meanwhile.
void add_stack(line_writer& out, const control_block& block, const scheduler& owner) noexcept {
  if (scheduler::running() != &owner) return;
  const std::size_t used = owner.stack_high_water(block);
  if (used == 0) return;
  out.add("; has used %zu of %zu KiB of stack", (used + 1023) / 1024,
          block.bound_stack->size / 1024);
}

// Where each of its coroutines awaits the one inside it, the innermost first. Where that is in code
// that is no coroutine, a call that blocks, it has awaited something there before.
void dump_awaits(line_writer& out, const control_block& block) noexcept {
  const bool has_suspended =
      block.guests != nullptr ? block.guests->awaits : block.has_status(fiber_status::resting);
  std::array<const co_frame*, 64> last{};
  std::size_t count = 0;
  for_each_coroutine(block, [&](const co_frame& each) { last[count++ % last.size()] = &each; });
  for (std::size_t i = 1; i <= std::min(count, last.size()); ++i) {
    const std::source_location& at = last[(count - i) % last.size()]->at;
    const bool is_in_a_call = i == 1 && !has_suspended;
    out.add("    %s at %s:%u", is_in_a_call ? "is in a call; it awaited or began" : "awaits",
            at.file_name(), static_cast<unsigned>(at.line()));
    out.end_line();
  }
  if (count <= last.size()) return;
  out.add("    and more");
  out.end_line();
}

void dump(line_writer& out, const control_block& block, const scheduler& owner) noexcept {
  const number id = number_of(block.id);
  // Others free it with the lock of the slab alone, which is held here.
  if (const char* const name = block.name.text) {
    out.add("  \"%.100s\" (fiber %llu) ", name, id);
  } else {
    out.add("  fiber %llu ", id);
  }
  add_state(out, block, owner);
  if (&block != &owner.main()) {
    out.add("; spawned ");
    if (block.spawned_by != fiber_id{}) {
      out.add("by fiber %llu ", number_of(block.spawned_by));
    }
    const std::source_location place = block.location;
    out.add("at %s:%u", place.file_name(), static_cast<unsigned>(place.line()));
  }
  add_stack(out, block, owner);
  out.end_line();
  // Of what has not started or has ended the task may be made and destroyed on any thread; one that
  // runs may be anywhere between two frames when a signal comes.
  const bool has_started =
      block.has_status(fiber_status::started) || block.has_status(fiber_status::resting);
  const bool rests = block.guests != nullptr && block.guests->awaits;  // and polls, perhaps
  if (!has_started || (owner.current_if_any() == &block && !rests)) return;
  // On another thread the task may go on meanwhile, and its frames with it.
  if (scheduler::running() == &owner) return dump_awaits(out, block);
  if (block.has_status(fiber_status::resting)) {
    out.add("    awaits in the hands of another thread");
    out.end_line();
  }
}

void dump(line_writer& out, scheduler& worker) noexcept {
  out.add("runtime %llu, worker %u: %zu fibers", number{worker.siblings().number()}, worker.index(),
          worker.live_fibers());
  out.end_line();
  if (worker.main().id != fiber_id{}) dump(out, worker.main(), worker);
  const auto dump_if_spawned = [&](control_block& block) {
    if (!block.has_status(fiber_status::reserved)) dump(out, block, worker);
  };
  if (worker.try_for_each_fiber(dump_if_spawned)) return;
  out.add("  its list of fibers is being changed");
  out.end_line();
}

void dump_all(line_writer out) noexcept {
  if (try_for_each_scheduler([&](scheduler& each) { dump(out, each); })) return;
  out.add("the list of runtimes is being changed");
  out.end_line();
}

}  // namespace
}  // namespace weft::detail

namespace weft {

void dump(std::FILE* out) noexcept { detail::dump_all(detail::line_writer{out}); }

void dump(int descriptor) noexcept { detail::dump_all(detail::line_writer{descriptor}); }

}  // namespace weft
