// How every program of weft takes its arguments: CLI11, with errors for people.
//
// A bad argument prints one line on stderr that says what was wrong and what is accepted, and ends
// the program with exit code 2; --help prints to stdout and ends it with 0.
//
// Every option that takes a number has the check `number_between`: CLI11 alone reads 010 as 8.
#pragma once

#include <array>
#include <charconv>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

#include <CLI/CLI.hpp>

namespace weft::tools {

inline constexpr int exit_usage = 2;

namespace detail {

/// Returns the shortest decimal text of `value`, without an exponent.
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

/// Tells whether `text` begins as a decimal number does that CLI11 reads as such: not with a sign,
/// a blank, or a zero before another digit, which would make it octal or hexadecimal.
inline bool begins_as_decimal(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.empty() || !is_digit(text[0])) return false;
  return text[0] != '0' || text.size() == 1 || text[1] == '.';
}

/// Returns the flags that `app` accepts, separated by commas.
inline std::string accepted_flags(const CLI::App& app) {
  std::string list;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      list += (list.empty() ? "--" : ", --") + name;
    }
  }
  return list;
}

inline int refuse_arguments(const CLI::App& app, std::string why) {
  for (char& c : why) {
    if (c == '\n') c = ' ';
  }
  const std::string& name = app.get_name();
  std::fprintf(stderr, "%s: %s; see %s --help\n", name.c_str(), why.c_str(), name.c_str());
  return exit_usage;
}

}  // namespace detail

/// Returns a check for an option that takes a number from `low` to `high`, neither of them
/// negative. Only the plain decimal form is accepted: no sign, no blank, no leading zero, no 0x,
/// nan or inf. `what` names the number with its unit, such as `a whole number` or `a number of
/// seconds`.
template <typename Number>
CLI::Validator number_between(Number low, Number high, const std::string& what) {
  const std::string first = detail::decimal_text(low);
  const std::string last = detail::decimal_text(high);
  const auto check = [=](const std::string& text) -> std::string {
    Number value{};
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, value);
    if (detail::begins_as_decimal(text) && parsed.ec == std::errc{} && parsed.ptr == end &&
        value >= low && value <= high) {
      return {};
    }
    return "'" + text + "' is not accepted, expected " + what + " from " + first + " to " + last +
           " in plain decimal (no leading zero, no sign)";
  };
  return CLI::Validator(check, first + ".." + last);
}

/// Returns a check for an option whose text must not be empty. `what` names it, such as `a file`.
inline CLI::Validator not_empty(const std::string& what) {
  const auto check = [=](const std::string& text) -> std::string {
    return text.empty() ? "'' is not accepted, expected " + what : std::string{};
  };
  return CLI::Validator(check, "");
}

/// Parses the arguments into what was bound to `app`. Returns nothing when the program may go on,
/// otherwise the code to exit with.
inline std::optional<int> parse_arguments(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    return 0;
  } catch (const CLI::CallForVersion& version) {
    std::printf("%s\n", version.what());
    return 0;
  } catch (const CLI::ExtrasError& error) {
    return detail::refuse_arguments(app, error.what() + std::string{"; accepted are "} +
                                             detail::accepted_flags(app));
  } catch (const CLI::ParseError& error) {
    return detail::refuse_arguments(app, error.what());
  }
}

}  // namespace weft::tools
