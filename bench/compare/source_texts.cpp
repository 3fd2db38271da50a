#include "source_texts.hpp"

#include <stdexcept>

#include "embedded_texts.hpp"

namespace weft::compare {
namespace {

constexpr std::string_view blanks = " \t\r";
constexpr std::string_view code_characters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

std::string_view trimmed(std::string_view line) {
  const std::size_t begin = line.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(blanks) + 1 - begin);
}

// Of C++.
bool is_directive(std::string_view line) {
  for (const std::string_view each : {"#include", "#if", "#el", "#endif", "#define", "#pragma"}) {
    if (line.starts_with(each)) return true;
  }
  return false;
}

// Neither C++ nor Go nor Python files here have comments in the form of blocks.
bool is_comment(std::string_view line) {
  return line.starts_with("//") || line.starts_with("\"\"\"") ||
         (line.starts_with('#') && !is_directive(line));
}

bool is_code(std::string_view line) {
  return line.find_first_of(code_characters) != std::string_view::npos && !is_comment(line);
}

}  // namespace

std::string_view text_of(std::string_view path) {
  for (const embedded_text& each : embedded_texts) {
    if (each.path == path) return each.text;
  }
  throw std::out_of_range{"no text of " + std::string{path}};
}

std::size_t lines_of_code(const std::vector<std::string>& paths) {
  std::size_t count = 0;
  for (const std::string& path : paths) {
    std::string_view rest = text_of(path);
    while (!rest.empty()) {
      const std::size_t end = rest.find('\n');
      if (is_code(trimmed(rest.substr(0, end)))) ++count;
      rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    }
  }
  return count;
}

}  // namespace weft::compare
