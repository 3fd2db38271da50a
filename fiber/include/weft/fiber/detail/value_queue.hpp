// What a channel holds: values in the order in which they came, in blocks that neither move nor
// are there before the first value. Not for users.
//
// Threads: whoever holds the lock of the channel.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace weft::detail {

template <class T>
class value_queue {
public:
  value_queue() noexcept = default;
  value_queue(const value_queue&) = delete;
  value_queue& operator=(const value_queue&) = delete;

  ~value_queue() {
    while (!empty()) pop();
    delete first_block_;  // an empty queue has no other
    delete spare_;
  }

  bool empty() const noexcept { return size_ == 0; }

  std::size_t size() const noexcept { return size_; }

  // The oldest one; there must be one.
  T& front() noexcept { return *first_; }

  // Changes nothing if there is no memory, or T's move throws.
  void push(T&& value) {
    if (end_ == last_room_) return push_into_new_block(std::move(value));
    std::construct_at(end_, std::move(value));
    ++end_;
    ++size_;
  }

  // Destroys the oldest one; there must be one.
  void pop() noexcept {
    std::destroy_at(first_);
    ++first_;
    if (--size_ == 0) {
      first_ = end_ = first_block_->begin();  // which is the last, too
    } else if (first_ == first_block_->end()) {
      drop_first_block();
    }
  }

private:
  static constexpr std::size_t block_bytes = 512;
  static constexpr std::size_t in_a_block = sizeof(T) < block_bytes ? block_bytes / sizeof(T) : 1;

  struct block {
    T* begin() noexcept { return std::launder(reinterpret_cast<T*>(room)); }

    T* end() noexcept { return begin() + in_a_block; }

    block* next = nullptr;
    alignas(T) std::byte room[in_a_block * sizeof(T)];
  };

  void push_into_new_block(T&& value) {
    auto made = std::unique_ptr<block>{std::exchange(spare_, nullptr)};
    if (!made) made.reset(new block);
    std::construct_at(made->begin(), std::move(value));
    block* const last = made.release();
    (last_block_ != nullptr ? last_block_->next : first_block_) = last;
    if (last_block_ == nullptr) first_ = last->begin();
    last_block_ = last;
    end_ = last->begin() + 1;
    last_room_ = last->end();
    ++size_;
  }

  // All values of which are gone, while others are there.
  void drop_first_block() noexcept {
    block* const done = first_block_;
    first_block_ = std::exchange(done->next, nullptr);
    first_ = first_block_->begin();
    delete std::exchange(spare_, done);
  }

  T* first_ = nullptr;
  T* end_ = nullptr;
  T* last_room_ = nullptr;  // the end of the last block
  std::size_t size_ = 0;
  block* first_block_ = nullptr;
  block* last_block_ = nullptr;
  block* spare_ = nullptr;
};

}  // namespace weft::detail
