#include "stream_output.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "poller.hpp"

namespace weft::net::detail {

std::size_t stream_output::write(socket& to, std::span<const std::byte> data,
                                 std::size_t high_water, std::error_code& ec) {
  std::size_t sent = 0;
  if (must_flush_before(data.size(), high_water)) {
    sent = fill_up_and_flush(to, data, high_water, ec);
    if (ec) return sent;
  }
  const auto rest = data.subspan(sent);
  if (rest.size() > high_water) return sent + to.write(rest, ec);
  keep(rest, ec);
  return ec ? sent : data.size();
}

// So that full buffers go out. Returns how many bytes of `data` have been sent.
std::size_t stream_output::fill_up_and_flush(socket& to, std::span<const std::byte> data,
                                             std::size_t high_water, std::error_code& ec) {
  const std::size_t fill = high_water - pending();
  keep(data.first(fill), ec);
  if (ec) return 0;
  flush(to, ec);
  return take_back_unsent(fill);
}

bool stream_output::must_flush_before(std::size_t size, std::size_t high_water) const noexcept {
  return pending() > 0 && pending() + size > high_water;
}

// Of the last so many bytes that were kept, after a flush. Returns how many of them were sent.
std::size_t stream_output::take_back_unsent(std::size_t filled) noexcept {
  const std::size_t left = std::min(filled, pending());
  end_ -= left;
  if (pending() == 0) give_back();
  return filled - left;
}

std::span<const std::byte> stream_output::unsent() const noexcept {
  return std::span{buffer_->bytes}.subspan(begin_, end_ - begin_);
}

// Takes so many bytes out. Returns their number.
std::size_t stream_output::sent(std::size_t count) noexcept {
  begin_ += count;
  if (pending() == 0) give_back();
  return count;
}

std::size_t stream_output::flush(socket& to, std::error_code& ec) {
  return pending() == 0 ? 0 : sent(to.write(unsent(), ec));
}

// ---- for coroutines ----------------------------------------------------------------------------

co::task<std::size_t> stream_output::co_write(socket& to, std::span<const std::byte> data,
                                              std::size_t high_water, std::error_code& ec) {
  std::size_t before = 0;
  if (must_flush_before(data.size(), high_water)) {
    before = co_await co_fill_up_and_flush(to, data, high_water, ec);
    if (ec) co_return before;
  }
  const auto rest = data.subspan(before);
  if (rest.size() > high_water) co_return before + co_await to.co_write(rest, ec);
  keep(rest, ec);
  co_return ec ? before : data.size();
}

co::task<std::size_t> stream_output::co_fill_up_and_flush(socket& to,
                                                          std::span<const std::byte> data,
                                                          std::size_t high_water,
                                                          std::error_code& ec) {
  const std::size_t fill = high_water - pending();
  keep(data.first(fill), ec);
  if (ec) co_return std::size_t{0};
  try {
    co_await co_flush(to, ec);
  } catch (...) {  // of the memory for its frame
    take_back_unsent(fill);
    throw;
  }
  co_return take_back_unsent(fill);
}

co::task<std::size_t> stream_output::co_flush(socket& to, std::error_code& ec) {
  if (pending() == 0) co_return std::size_t{0};
  const std::size_t count = co_await to.co_write(unsent(), ec);
  co_return sent(count);
}

// ---- for both ----------------------------------------------------------------------------------

void stream_output::keep(std::span<const std::byte> data, std::error_code& ec) {
  if (data.empty()) return;
  if (buffer_ == nullptr) buffer_ = lend_buffer(ec);
  if (buffer_ == nullptr) return;
  std::byte* const bytes = buffer_->bytes.data();
  if (begin_ > 0) {  // a flush was ended halfway
    std::memmove(bytes, bytes + begin_, pending());
    end_ -= std::exchange(begin_, 0);
  }
  std::memcpy(bytes + end_, data.data(), data.size());
  end_ += data.size();
}

void stream_output::give_back() noexcept {
  begin_ = end_ = 0;
  if (buffer_ != nullptr) {
    io_buffer& lent = *std::exchange(buffer_, nullptr);
    lent.home->take_back(lent);
  }
}

}  // namespace weft::net::detail
