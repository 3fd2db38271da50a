// Why a sample has no numbers.
#pragma once

#include <stdexcept>
#include <string>

#include "child.hpp"
#include "text.hpp"

namespace weft::compare {

/// Thrown by what takes a sample; the text is for people, in one line.
class failure : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// Returns `reason` with what `program` said last on stderr, if it said anything.
inline std::string with_last_words(const std::string& reason, const child& program) {
  const std::string words = last_line(program.err());
  return words.empty() ? reason : reason + ": " + words;
}

}  // namespace weft::compare
