// Where control blocks come from: chunks of them, the one freed last handed out first.
//
// Lives as long as one block of it is in use, for a handle may outlive its runtime.
// Threads: the worker only.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "control_block.hpp"

namespace weft::detail {

class block_slab {
public:
  // By new, because it ends by abandon().
  static block_slab* create() { return new block_slab; }

  block_slab(const block_slab&) = delete;
  block_slab& operator=(const block_slab&) = delete;

  // A block with status `reserved`, or null when there is no memory.
  control_block* allocate() noexcept;
  // Takes back a block that no handle stands for and whose task is gone.
  void free(control_block& block) noexcept;

  // The owner gives the slab up: it goes with its last block.
  void abandon() noexcept;

  std::size_t in_use() const noexcept { return in_use_; }

  // Calls visit(block) for every block in use.
  template <class Visit>
  void for_each(Visit&& visit) {
    for (const auto& chunk : chunks_) {
      for (std::size_t i = 0; i < blocks_a_chunk; ++i) {
        if (chunk[i].status != fiber_status::free) visit(chunk[i]);
      }
    }
  }

private:
  static constexpr std::size_t blocks_a_chunk = 64;

  block_slab() = default;
  ~block_slab() = default;
  bool grow() noexcept;

  std::vector<std::unique_ptr<control_block[]>> chunks_;
  control_block* free_ = nullptr;  // linked by next_ready
  std::size_t in_use_ = 0;
  bool abandoned_ = false;
};

}  // namespace weft::detail
