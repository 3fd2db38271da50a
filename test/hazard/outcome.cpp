#include "outcome.hpp"

#include <algorithm>
#include <cerrno>
#include <new>
#include <span>

#include <weft/fiber/error.hpp>

namespace weft::test {
namespace {

void copy_text(std::span<char> to, std::string_view text) noexcept {
  const std::size_t size = std::min(to.size() - 1, text.size());
  std::ranges::copy(text.substr(0, size), to.begin());
  to[size] = '\0';
}

// What other tasks are told when one has failed and let its descriptors go.
bool is_consequence(const std::error_code& ec) noexcept {
  return ec == errc::eof || ec == errc::closed || ec == errc::cancelled ||
         ec == std::errc::connection_reset || ec == std::errc::broken_pipe ||
         ec == std::errc::not_connected || ec == std::errc::connection_refused ||
         ec == std::errc::no_such_file_or_directory;
}

// Calls that get memory for others to have.
bool serves_memory(call which) noexcept {
  return which == call::mmap || which == call::mprotect || which == call::madvise;
}

bool names(const std::error_code& ec, bool no_memory, const fault& struck) noexcept {
  if (struck.which == call::allocation || serves_memory(struck.which)) {
    return no_memory || ec == std::errc::not_enough_memory;
  }
  return ec.value() == struck.by.error &&
         (ec.category() == std::system_category() || ec.category() == std::generic_category());
}

}  // namespace

void outcome::note_current_exception() noexcept {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    add(true, {}, "std::bad_alloc");
  } catch (const std::system_error& error) {
    add(false, error.code(), error.what());
  } catch (const std::exception& error) {
    expect(false, error.what());
  } catch (...) {
    expect(false, "something was thrown that is no std::exception");
  }
}

void outcome::note(std::error_code ec) noexcept {
  if (ec) add(false, ec, ec.category().name());
}

void outcome::add(bool no_memory, std::error_code code, std::string_view what) noexcept {
  const std::lock_guard hold{lock_};
  if (failure_count_ == failures_.size()) return;
  failure& added = failures_[failure_count_++];
  added.no_memory = no_memory;
  added.code = code;
  copy_text(added.what, what);
}

void outcome::expect(bool holds, std::string_view what) noexcept {
  const std::lock_guard hold{lock_};
  if (!holds && broken_[0] == '\0') copy_text(broken_, what);
}

void outcome::note_diagnostic(std::string_view line) noexcept {
  const std::lock_guard hold{lock_};
  if (line_count_++ == 0) copy_text(line_, line);
}

std::string outcome::list() const {
  std::string text;
  for (std::size_t i = 0; i < failure_count_; ++i) {
    text += std::string{"\n  error: "} + failures_[i].what.data() + " (" +
            failures_[i].code.category().name() + ":" + std::to_string(failures_[i].code.value()) +
            ")";
  }
  if (line_count_ != 0) text += std::string{"\n  line: "} + line_.data();
  return text;
}

std::string outcome::complaint(const fault* struck) const {
  if (broken_[0] != '\0') return broken_.data() + list();
  if (struck == nullptr) {
    const bool quiet = failure_count_ == 0 && line_count_ == 0;
    return quiet ? "" : "nothing was injected, but it has failed" + list();
  }
  // Of a peer that has gone, no more is told than that.
  bool named =
      line_count_ != 0 || is_consequence(std::error_code{struck->by.error, std::system_category()});
  for (const failure& each : std::span{failures_}.first(failure_count_)) {
    const bool names_it = names(each.code, each.no_memory, *struck);
    if (!names_it && !is_consequence(each.code)) return "another error was told" + list();
    named = named || names_it;
  }
  return named || failure_count_ == 0 ? "" : "no error names it" + list();
}

}  // namespace weft::test
