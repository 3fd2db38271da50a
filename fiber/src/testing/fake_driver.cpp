#include <memory>
#include <utility>

#include <weft/fiber/detail/worker.hpp>
#include <weft/fiber/testing/fake_driver.hpp>

namespace weft::testing {
namespace {

constexpr char kind = 0;  // by its address

}  // namespace

fake_driver& fake_driver::install(script what) {
  std::unique_ptr<fake_driver> fresh{new fake_driver{std::move(what)}};
  fake_driver& result = *fresh;
  detail::install_driver(std::move(fresh), &kind);
  return result;
}

void fake_driver::poll(clock::time_point deadline) {
  polls_.push_back(deadline);
  if (script_) return script_(deadline);
  std::unique_lock hold{lock_};
  const auto is_woken = [this] { return woken_; };
  if (deadline == clock::time_point::max()) {
    woken_changed_.wait(hold, is_woken);
  } else if (deadline != clock::time_point::min()) {
    woken_changed_.wait_until(hold, deadline, is_woken);
  }
  woken_ = false;
}

// Not for signal handlers, unlike that of other drivers: a test does not need it there.
void fake_driver::wake() noexcept {
  const std::lock_guard hold{lock_};
  ++wakes_;
  woken_ = true;
  woken_changed_.notify_one();
}

std::size_t fake_driver::wakes() const {
  const std::lock_guard hold{lock_};
  return wakes_;
}

}  // namespace weft::testing
