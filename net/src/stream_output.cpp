#include "stream_output.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "poller.hpp"

namespace weft::net::detail {

std::size_t stream_output::write(socket& to, std::span<const std::byte> data,
                                 std::size_t high_water, std::error_code& ec) {
  std::size_t sent = 0;
  if (pending() > 0 && pending() + data.size() > high_water) {
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
  const std::size_t unsent = std::min(fill, pending());
  end_ -= unsent;
  if (pending() == 0) give_back();
  return fill - unsent;
}

std::size_t stream_output::flush(socket& to, std::error_code& ec) {
  if (pending() == 0) return 0;
  const std::size_t sent = to.write(std::span{buffer_->bytes}.subspan(begin_, end_ - begin_), ec);
  begin_ += sent;
  if (pending() == 0) give_back();
  return sent;
}

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
