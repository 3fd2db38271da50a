#include "dump.hpp"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <unistd.h>

#include "registry.hpp"
#include "scheduler.hpp"
#include "worker_group.hpp"

namespace weft::detail {
namespace {

// A line to a descriptor, without memory of its own.
class line_writer {
public:
  explicit line_writer(int descriptor) noexcept : descriptor_(descriptor) {}

  // With a newline at the end.
  [[gnu::format(printf, 2, 3)]] void write(const char* format, ...) noexcept {
    std::array<char, 512> line;
    std::va_list arguments;
    va_start(arguments, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start has just made it
    const int size = std::vsnprintf(line.data(), line.size(), format, arguments);
    va_end(arguments);
    if (size <= 0) return;
    const auto used = std::min(static_cast<std::size_t>(size), line.size() - 1);
    line[used - 1] = '\n';  // one that was cut off still ends
    // Nobody is left to be told when it fails.
    [[maybe_unused]] const auto written = ::write(descriptor_, line.data(), used);
  }

private:
  int descriptor_;
};

const char* state_of(const control_block& block, const scheduler& owner) noexcept {
  switch (block.status.load(std::memory_order_relaxed)) {
  case fiber_status::reserved:
  case fiber_status::arriving:
  case fiber_status::unstarted: return "has not started";
  case fiber_status::done: return "has ended";
  default: break;
  }
  if (block.wait.armed()) return "waits";
  return &block == owner.current_if_any() ? "runs" : "is ready";
}

// Where each of its coroutines awaits the one inside it, the innermost first. Where that is in code
// that is no coroutine, a call that blocks, it has awaited something there before.
void dump_awaits(line_writer& out, const control_block& block) noexcept {
  std::array<const co_frame*, 64> last{};
  std::size_t count = 0;
  for_each_coroutine(block, [&](const co_frame& each) { last[count++ % last.size()] = &each; });
  for (std::size_t i = 1; i <= std::min(count, last.size()); ++i) {
    const std::source_location& at = last[(count - i) % last.size()]->at;
    const bool is_in_a_call =
        i == 1 && block.is_coroutine() && !block.has_status(fiber_status::resting);
    out.write("    %s at %s:%u\n", is_in_a_call ? "is in a call; it awaited or began" : "awaits",
              at.file_name(), static_cast<unsigned>(at.line()));
  }
  if (count > last.size()) out.write("    and more\n");
}

void dump(line_writer& out, const control_block& block, const scheduler& owner) noexcept {
  const char* const name = block.name.text;
  const auto id = static_cast<unsigned long long>(block.id);
  if (name != nullptr) {
    out.write("  \"%s\" (fiber %llu) %s, spawned at %s:%u\n", name, id, state_of(block, owner),
              block.location.file_name(), static_cast<unsigned>(block.location.line()));
  } else {
    out.write("  fiber %llu %s, spawned at %s:%u\n", id, state_of(block, owner),
              block.location.file_name(), static_cast<unsigned>(block.location.line()));
  }
  // On another thread the task may go on meanwhile, and its frames with it.
  if (scheduler::running() == &owner) return dump_awaits(out, block);
  if (block.has_status(fiber_status::resting)) {
    out.write("    awaits in the hands of another thread\n");
  }
}

}  // namespace

void dump_fibers(int descriptor) noexcept {
  line_writer out{descriptor};
  const auto dump_worker = [&](scheduler& each) {
    out.write("runtime %u, worker %u: %zu fibers\n",
              static_cast<unsigned>(each.siblings().number()), each.index(), each.live_fibers());
    dump(out, each.main(), each);
    if (!each.try_for_each_fiber([&](control_block& block) { dump(out, block, each); })) {
      out.write("  its list of fibers is being changed\n");
    }
  };
  if (!try_for_each_scheduler(dump_worker)) out.write("the list of runtimes is being changed\n");
}

}  // namespace weft::detail
