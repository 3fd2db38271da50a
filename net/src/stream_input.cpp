#include "stream_input.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace weft::net::detail {

std::size_t stream_input::end_of(std::string_view delimiter, std::size_t searched) const {
  const std::string_view before = carried();
  if (searched < before.size()) {
    const std::size_t place = before.find(delimiter, searched);
    if (place != none) return place + delimiter.size();
  }
  const std::size_t overlap = delimiter.size() - 1;
  if (overlap > 0 && !before.empty() && !fresh_.empty()) {  // it may lie across both pieces
    const std::size_t begin = before.size() - std::min(overlap, before.size());
    std::string seam{before.substr(begin)};
    seam += fresh_.substr(0, overlap);
    const std::size_t place = seam.find(delimiter);
    if (place != none) return begin + place + delimiter.size();
  }
  const std::size_t from = searched - std::min(searched, before.size());
  const std::size_t place = fresh_.find(delimiter, from);
  return place == none ? none : before.size() + place + delimiter.size();
}

std::string stream_input::take(std::size_t count) {
  std::string text(count, '\0');  // before anything is taken: it may throw
  copy(count, text.data());
  drop(count);
  return text;
}

std::size_t stream_input::take(std::span<std::byte> into) noexcept {
  const std::size_t count = std::min(into.size(), size());
  copy(count, reinterpret_cast<char*>(into.data()));
  drop(count);
  return count;
}

void stream_input::read_more(socket& from, std::error_code& ec) {
  carry_over();
  borrowed_bytes more = from.read_some_borrowed(borrowed_bytes::capacity, ec);
  if (!ec) keep(std::move(more));
}

co::task<> stream_input::co_read_more(socket& from, std::error_code& ec) {
  carry_over();
  borrowed_bytes more = co_await from.co_read_some_borrowed(borrowed_bytes::capacity, ec);
  if (!ec) keep(std::move(more));
}

void stream_input::keep(borrowed_bytes more) noexcept {
  lease_ = std::move(more);
  fresh_ = lease_.text();
}

void stream_input::copy(std::size_t count, char* to) const noexcept {
  const std::string_view first = carried().substr(0, count);
  const std::string_view second = fresh_.substr(0, count - first.size());
  // memcpy must not be given null, which an empty view may hold.
  if (!first.empty()) std::memcpy(to, first.data(), first.size());
  if (!second.empty()) std::memcpy(to + first.size(), second.data(), second.size());
}

void stream_input::drop(std::size_t count) noexcept {
  const std::size_t of_carried = std::min(count, carried().size());
  taken_ += of_carried;
  if (taken_ == carried_.size() && taken_ > 0) {
    std::string{}.swap(carried_);  // clear() would keep the memory
    taken_ = 0;
  }
  fresh_.remove_prefix(count - of_carried);
  if (fresh_.empty()) lease_ = {};
}

// Before a wait, during which no buffer of the worker may be held.
void stream_input::carry_over() {
  carried_.erase(0, std::exchange(taken_, 0));
  carried_.append(fresh_);
  fresh_ = {};
  lease_ = {};
}

}  // namespace weft::net::detail
