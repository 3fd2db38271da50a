#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include <CLI/CLI.hpp>

#include <weft/tools/command_line.hpp>
#include <weft/tools/standard_streams.hpp>

namespace weft::tools {
namespace {

// Returns the shortest decimal text of `value`, without an exponent.
template <typename Number>
std::string decimal_text(Number value) {
  std::array<char, 400> text;  // the largest double has 309 digits
  std::to_chars_result end{};
  if constexpr (std::is_floating_point_v<Number>) {
    end = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  } else {
    end = std::to_chars(text.data(), text.data() + text.size(), value);
  }
  return {text.data(), end.ptr};
}

// Tells whether `text` begins as a decimal number does that CLI11 reads as such: not with a sign, a
// blank, or a zero before another digit: CLI11 alone reads 010 as 8.
bool begins_as_decimal(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.empty() || !is_digit(text[0])) return false;
  return text[0] != '0' || text.size() == 1 || text[1] == '.';
}

template <typename Number>
CLI::Validator check_of(const number_range<Number>& range) {
  const std::string first = decimal_text(range.low);
  const std::string last = decimal_text(range.high);
  const auto check = [=](const std::string& text) -> std::string {
    Number value{};
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, value);
    if (begins_as_decimal(text) && parsed.ec == std::errc{} && parsed.ptr == end &&
        value >= range.low && value <= range.high) {
      return {};
    }
    return "'" + text + "' is not accepted, expected " + range.what + " from " + first + " to " +
           last + " in plain decimal (no leading zero, no sign)";
  };
  return CLI::Validator(check, first + ".." + last);
}

// Returns the flags that `app` accepts, separated by commas.
std::string accepted_flags(const CLI::App& app) {
  std::string list;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      list += (list.empty() ? "--" : ", --") + name;
    }
  }
  return list;
}

// Returns what is accepted where `option` stands without a value, as it is said of an empty one.
std::string accepted_value(CLI::Option& option) {
  std::string said;
  try {
    std::string empty;
    said = (*option.get_validator(0))(empty);
  } catch (const CLI::OptionNotFound&) {  // takes any text
    return "expected one behind it";
  }
  const std::string beginning = "'' is not accepted, ";
  return said.rfind(beginning, 0) == 0 ? said.substr(beginning.size()) : said;
}

// Refuses, in plainer words than CLI11, flags with a value, options without one, and those that
// are there twice.
class first_look {
public:
  explicit first_look(CLI::App& app) : app_(app) {}

  void operator()(int argc, char** argv) {
    for (int i = 1; i < argc && std::strcmp(argv[i], "--") != 0; ++i) {
      const std::string_view argument = argv[i];
      const std::size_t end = argument.find('=');
      CLI::Option* const option = find(argument.substr(0, end));
      if (option == nullptr) continue;
      if (option->get_items_expected_max() == 0) {
        if (end != std::string_view::npos) refuse(*option, "takes no value; accepted: it alone");
        continue;
      }
      if (end == std::string_view::npos) ++i;  // the next argument is its value
      if (i == argc || end == argument.size() - 1) {
        refuse(*option, "no value is given; " + accepted_value(*option));
      }
      const bool again = !seen_.insert(option).second;
      if (again && option->get_items_expected_max() == 1) {
        refuse(*option, "given twice; accepted: once");
      }
    }
  }

private:
  // Returns the option that is called `name`, null where that is another argument.
  CLI::Option* find(std::string_view name) const {
    return name.rfind("--", 0) == 0 ? app_.get_option_no_throw(std::string{name}) : nullptr;
  }

  [[noreturn]] static void refuse(const CLI::Option& option, const std::string& why) {
    throw bad_argument(option.get_name() + ": " + why);
  }

  CLI::App& app_;
  std::set<const CLI::Option*> seen_;
};

}  // namespace

text_check not_empty(const std::string& what) {
  return [what](const std::string& text) {
    return text.empty() ? "'' is not accepted, expected " + what : std::string{};
  };
}

text_check accepted_by(std::function<void(const std::string&)> parse) {
  return [parse = std::move(parse)](const std::string& text) -> std::string {
    try {
      parse(text);
      return {};
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
  };
}

const command_line::option& command_line::option::shows_default() const {
  native_->capture_default_str();
  return *this;
}

const command_line::option&
command_line::option::from_environment(const std::string& variable) const {
  native_->envname(variable);
  return *this;
}

const command_line::option& command_line::option::excludes(const option& other) const {
  native_->excludes(other.native_);
  return *this;
}

const command_line::option& command_line::option::checked(text_check check,
                                                          const std::string& shown_as) const {
  native_->check(CLI::Validator(
      [check = std::move(check)](std::string& text) { return check(text); }, shown_as));
  return *this;
}

const command_line::option& command_line::option::shown_as(const std::string& word) const {
  native_->type_name(word);
  return *this;
}

command_line::command_line(const std::string& program, const std::string& description)
    : app_(std::make_unique<CLI::App>(description, program)) {}

command_line::~command_line() = default;

void command_line::set_footer(const std::string& text) { app_->footer(text); }

command_line::option command_line::add_flag(const std::string& name, bool& value,
                                            const std::string& help) {
  return option{app_->add_flag(name, value, help)};
}

command_line::option command_line::add_text(const std::string& name, std::string& value,
                                            const std::string& help) {
  return option{app_->add_option(name, value, help)};
}

command_line::option command_line::add_text(const std::string& name,
                                            std::optional<std::string>& value,
                                            const std::string& help) {
  return option{app_->add_option(name, value, help)};
}

command_line::option command_line::add_list(const std::string& name,
                                            std::vector<std::string>& values,
                                            const std::string& help) {
  return option{app_->add_option(name, values, help)->delimiter(',')};
}

template <typename Number>
command_line::option
command_line::add_number(const std::string& name, Number& value,
                         const std::type_identity_t<number_range<Number>>& range,
                         const std::string& help) {
  return option{app_->add_option(name, value, help)->check(check_of(range))};
}

template <typename Number>
command_line::option
command_line::add_number(const std::string& name, std::optional<Number>& value,
                         const std::type_identity_t<number_range<Number>>& range,
                         const std::string& help) {
  return option{app_->add_option(name, value, help)->check(check_of(range))};
}

// The numbers that add_number takes.
// NOLINTBEGIN(bugprone-macro-parentheses): a type
#define WEFT_TAKES(Number)                                                                         \
  template command_line::option command_line::add_number(                                          \
      const std::string&, Number&, const number_range<Number>&, const std::string&);               \
  template command_line::option command_line::add_number(                                          \
      const std::string&, std::optional<Number>&, const number_range<Number>&,                     \
      const std::string&);
// NOLINTEND(bugprone-macro-parentheses)
WEFT_TAKES(int)
WEFT_TAKES(double)
WEFT_TAKES(std::uint16_t)
WEFT_TAKES(std::uint32_t)
WEFT_TAKES(std::uint64_t)
#undef WEFT_TAKES

std::optional<int> command_line::parse(int argc, char** argv, const std::function<void()>& finish) {
  try {
    first_look{*app_}(argc, argv);
    app_->parse(argc, argv);
    if (finish) finish();
    return std::nullopt;
  } catch (const CLI::CallForHelp&) {
    if (write_out(app_->help())) return 0;
    std::fprintf(stderr, "%s: cannot write to stdout: %s\n", app_->get_name().c_str(),
                 std::strerror(errno));
    return exit_failed;
  } catch (const CLI::ExtrasError& error) {
    return refuse(error.what() + std::string{"; accepted are "} + accepted_flags(*app_));
  } catch (const CLI::ParseError& error) {
    return refuse(error.what());
  } catch (const bad_argument& error) {
    return refuse(error.what());
  }
}

int command_line::refuse(std::string why) const {
  for (char& c : why) {
    if (c == '\n') c = ' ';
  }
  const std::string& name = app_->get_name();
  std::fprintf(stderr, "%s: %s; see %s --help\n", name.c_str(), why.c_str(), name.c_str());
  return exit_usage;
}

}  // namespace weft::tools
