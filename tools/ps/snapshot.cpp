#include "snapshot.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <set>
#include <stdexcept>
#include <system_error>

#include <fmt/format.h>

#include "block_slab.hpp"
#include "control_block.hpp"
#include "registry_layout.hpp"
#include "symbols.hpp"
#include "wait_text.hpp"

namespace weft::ps {
namespace {

using detail::fiber_status;
using layout = detail::registry_layout;

constexpr const char* symbol_name = "weft_registry";

layout read_layout(const process_memory& memory) {
  const auto address = address_of_symbol(memory.process(), symbol_name);
  if (!address) {
    throw std::runtime_error(fmt::format(
        "process {} has no symbol {}: it does not use weft, or is stripped of its symbols",
        memory.process(), symbol_name));
  }
  const layout found = memory.read<layout>(*address);
  if (found.magic != layout::expected_magic || found.version != layout::expected_version) {
    throw std::runtime_error(
        fmt::format("process {} uses another version of weft than this program: take the weft-ps "
                    "that was built with it",
                    memory.process()));
  }
  return found;
}

std::uint32_t milliseconds_now() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint32_t>(now.tv_sec * 1'000 + now.tv_nsec / 1'000'000);
}

std::string describe_wait(detail::wait_note note) {
  const auto kind = detail::kind_of(note);
  std::string purpose = detail::purpose_of(kind);
  switch (detail::object_kind_of(kind)) {
  case detail::wait_object::number: return fmt::format("{} {}", purpose, detail::object_of(note));
  case detail::wait_object::address:
    return fmt::format("{} {:#x}", purpose, detail::object_of(note));
  case detail::wait_object::none: break;
  }
  return purpose;
}

class reader {
public:
  explicit reader(const process_memory& memory) : memory_(memory), layout_(read_layout(memory)) {}

  std::vector<fiber_info> read_all() {
    auto worker = reinterpret_cast<std::uint64_t>(layout_.first);
    std::set<std::uint64_t> known;  // one that was made anew meanwhile may lead back
    while (worker != 0 && known.insert(worker).second) {
      read_worker(worker);
      worker = memory_.pointer(worker + layout_.scheduler_next);
    }
    std::ranges::stable_sort(found_, {}, &fiber_info::id);
    const auto again = std::ranges::unique(found_, {}, &fiber_info::id);
    found_.erase(again.begin(), again.end());
    return std::move(found_);
  }

private:
  // Of a std::vector.
  struct range {
    std::uint64_t begin;
    std::uint64_t end;
  };

  // As for memory that is not there any more.
  [[noreturn]] static void throw_changed() {
    throw std::system_error(EFAULT, std::system_category());
  }

  void read_worker(std::uint64_t worker) {
    index_ = memory_.read<std::uint32_t>(worker + layout_.scheduler_index);
    runtime_ =
        memory_.pointer(memory_.pointer(worker + layout_.scheduler_group) + layout_.group_number);
    current_ = memory_.pointer(worker + layout_.scheduler_current);
    read_block(worker + layout_.scheduler_main, true);
    const auto chunks =
        memory_.read<range>(memory_.pointer(worker + layout_.scheduler_slab) + layout_.slab_chunks);
    if (chunks.begin > chunks.end) throw_changed();
    for (std::uint64_t at = chunks.begin; at < chunks.end; at += sizeof(void*)) {
      skip_if_gone([&] { read_chunk(memory_.pointer(at)); });
    }
  }

  void read_chunk(std::uint64_t chunk) {
    const auto count = memory_.read<std::size_t>(chunk + layout_.chunk_constructed);
    if (count > detail::block_chunk::capacity) throw_changed();
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t block = chunk + layout_.chunk_blocks + i * layout_.block_size;
      skip_if_gone([&] { read_block(block, false); });
    }
  }

  // What has gone since its address was read had ended.
  template <class Read>
  static void skip_if_gone(Read&& read) {
    try {
      read();
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::bad_address) throw;
    }
  }

  // One copy of it, so that its parts belong together but for what changes in that moment.
  void read_block(std::uint64_t address, bool is_main) {
    block_.resize(layout_.block_size);
    memory_.read(address, block_.data(), block_.size());
    const auto status = field<fiber_status>(layout_.block_status);
    fiber_info fiber;
    fiber.id = field<std::uint64_t>(layout_.block_id);
    if (status <= fiber_status::reserved || fiber.id == 0) return;
    fiber.runtime = runtime_;
    fiber.worker = index_;
    fiber.is_main = is_main;
    fiber.is_coroutine = field<std::uint8_t>(layout_.block_size_class) == detail::stackless;
    fiber.spawned_by = field<std::uint64_t>(layout_.block_spawned_by);
    set_state(fiber, status, address);
    if (const auto name = field<std::uint64_t>(layout_.block_name)) {
      fiber.name = memory_.text(name);
      // Perhaps the memory of the name has been given back and used again meanwhile.
      if (memory_.pointer(address + layout_.block_name) != name) return;
    }
    if (!is_main) fiber.place = place_of(field<std::uint64_t>(layout_.block_location));
    found_.push_back(std::move(fiber));
  }

  void set_state(fiber_info& fiber, fiber_status status, std::uint64_t address) const {
    if (status == fiber_status::done) {
      fiber.state = fiber_state::ended;
    } else if (status == fiber_status::arriving || status == fiber_status::unstarted) {
      fiber.state = fiber_state::not_started;
    } else if (detail::waiter::is_armed(field<std::uint64_t>(layout_.block_wait))) {
      fiber.state = fiber_state::waits;
      fiber.wait = describe_wait(field<detail::wait_note>(layout_.block_waits_for));
      const std::uint32_t since = field<std::uint32_t>(layout_.block_waits_since);
      fiber.waiting_seconds = static_cast<std::uint32_t>(milliseconds_now() - since) / 1e3;
    } else {
      fiber.state = address == current_ ? fiber_state::runs : fiber_state::ready;
    }
  }

  // Of a std::source_location of libstdc++: file, function, line.
  std::string place_of(std::uint64_t location) const {
    if (location == 0) return {};
    const std::uint64_t file = memory_.pointer(location);
    return fmt::format("{}:{}", file != 0 ? memory_.text(file) : "",
                       memory_.read<std::uint32_t>(location + 2 * sizeof(void*)));
  }

  template <class T>
  T field(layout::offset offset) const {
    T value;
    std::memcpy(&value, block_.data() + offset, sizeof value);
    return value;
  }

  const process_memory& memory_;
  const layout layout_;
  std::uint32_t index_ = 0;
  std::uint64_t runtime_ = 0;
  std::uint64_t current_ = 0;
  std::vector<std::byte> block_;
  std::vector<fiber_info> found_;
};

}  // namespace

std::vector<fiber_info> read_fibers(const process_memory& memory) {
  // What goes while one follows it is found by another try.
  constexpr int tries = 10;
  for (int i = 1;; ++i) {
    try {
      return reader{memory}.read_all();
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::bad_address || i == tries) throw;
    }
  }
}

}  // namespace weft::ps
