// How every program of weft takes its arguments, with errors for people.
//
// A bad argument prints one line on stderr that says what was wrong and what is accepted, and ends
// the program with exit code 2; --help prints to stdout and ends it with 0, or with 1 when that
// cannot be written.
//
// Numbers are taken in their plain decimal form alone: no sign, no blank, no leading zero, no 0x,
// nan or inf.
//
// CLI11 does the work, in command_line.cpp: compiled once, for it is a hundred times as large as
// most of the programs.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

// NOLINTNEXTLINE(readability-identifier-naming): the library's
namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace weft::tools {

inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;

/// Arguments that cannot be accepted, thrown by what looks at them after they have been read: the
/// text says in one line what was wrong and what is accepted.
class bad_argument : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The numbers that an option takes: from `low` to `high`, neither of them negative. `what` names
/// the number with its unit, such as `a whole number` or `a number of seconds`.
template <typename Number>
struct number_range {
  Number low;
  Number high;
  std::string what;
};

/// Tells what is wrong with a text and what is accepted in its place; empty when nothing is wrong.
using text_check = std::function<std::string(const std::string&)>;

/// Returns a check that accepts what is not empty. `what` names it, such as `the name of a file`.
text_check not_empty(const std::string& what);

/// Returns a check that accepts what `parse` takes without throwing std::invalid_argument.
text_check accepted_by(std::function<void(const std::string&)> parse);

/// The command line of a program: what it accepts, each bound to a variable, and --help.
class command_line {
public:
  /// An option of a command line, as long as that lives; for saying more about it.
  class option {
  public:
    /// Shows the value that the variable has now in --help.
    const option& shows_default() const;
    /// Takes the value from this environment variable when the option is not given.
    const option& from_environment(const std::string& variable) const;
    /// Refuses the two together.
    const option& excludes(const option& other) const;
    /// Refuses a text that `check` finds wrong. `shown_as` stands for the text in --help.
    const option& checked(text_check check, const std::string& shown_as) const;
    /// Shows the value as this word in --help.
    const option& shown_as(const std::string& word) const;

  private:
    friend command_line;

    explicit option(CLI::Option* native) : native_(native) {}

    CLI::Option* native_;
  };

  command_line(const std::string& program, const std::string& description);
  ~command_line();
  command_line(const command_line&) = delete;
  command_line& operator=(const command_line&) = delete;

  /// Sets what --help prints at its end, such as the exit codes.
  void set_footer(const std::string& text);

  /// Adds a flag that sets `value`. This name and those below begin with `--`, or have no hyphen
  /// for an argument that is known by its place.
  option add_flag(const std::string& name, bool& value, const std::string& help);

  option add_text(const std::string& name, std::string& value, const std::string& help);
  option add_text(const std::string& name, std::optional<std::string>& value,
                  const std::string& help);

  /// Adds texts that are separated by commas.
  option add_list(const std::string& name, std::vector<std::string>& values,
                  const std::string& help);

  /// Adds a number: int, double, or an unsigned integer of 16, 32 or 64 bits.
  template <typename Number>
  option add_number(const std::string& name, Number& value,
                    const std::type_identity_t<number_range<Number>>& range,
                    const std::string& help);
  template <typename Number>
  option add_number(const std::string& name, std::optional<Number>& value,
                    const std::type_identity_t<number_range<Number>>& range,
                    const std::string& help);

  /// Reads the arguments into the variables, then calls `finish`, which may throw bad_argument.
  /// Returns nothing when the program may go on, otherwise the code to exit with: help was printed,
  /// or what is wrong.
  std::optional<int> parse(int argc, char** argv, const std::function<void()>& finish = {});

private:
  int refuse(std::string why) const;

  std::unique_ptr<CLI::App> app_;
};

}  // namespace weft::tools
