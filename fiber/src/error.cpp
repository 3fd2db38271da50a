#include <weft/fiber/error.hpp>

namespace weft {
namespace {

class category final : public std::error_category {
public:
  const char* name() const noexcept override { return "weft"; }

  std::string message(int value) const override {
    switch (static_cast<errc>(value)) {
    case errc::eof: return "end of stream";
    case errc::timed_out: return "timed out";
    case errc::cancelled: return "cancelled";
    case errc::closed: return "closed";
    }
    return "unknown weft error " + std::to_string(value);
  }

  std::error_condition default_error_condition(int value) const noexcept override {
    switch (static_cast<errc>(value)) {
    case errc::timed_out: return std::errc::timed_out;
    case errc::cancelled: return std::errc::operation_canceled;
    case errc::closed: return std::errc::bad_file_descriptor;
    default: return {value, *this};
    }
  }
};

// Never destroyed, as codes may be looked at while the process exits; and no local static: see
// fork.hpp.
union immortal_category {
  constexpr immortal_category() noexcept : instance{} {}

  ~immortal_category() {}  // NOLINT(modernize-use-equals-default): it would be deleted

  category instance;
};

constinit immortal_category made_at_compile_time;

}  // namespace

const std::error_category& error_category() noexcept { return made_at_compile_time.instance; }

}  // namespace weft
