// Where and with what the comparison was made, so that somebody else can judge and repeat it.
#pragma once

#include <map>
#include <string>

namespace weft::compare {

struct environment {
  std::string date;  ///< UTC, ISO 8601
  std::string kernel;
  std::string cpu;
  unsigned cores = 0;
  std::string compiler;
  std::string flags;
  std::string build_type;
  std::string governor;                            ///< of the first core, or `unknown`
  std::map<std::string, std::string> mitigations;  ///< by weakness, as the kernel states them
  std::string packages;  ///< of Debian, of what is compared, with their versions
  std::string commit;    ///< that was built, `-dirty` with changes; or `unknown`

  /// Returns the essence in two lines.
  std::string text() const;
};

/// Reads it all from the system and from what was compiled in.
environment read_environment();

}  // namespace weft::compare
