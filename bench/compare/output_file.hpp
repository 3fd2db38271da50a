// The file of --json or --out. A path that cannot be written costs no run: that is found out before
// it. What the file held before stays there until the new report is complete.
//
// Threads: one owner.
#pragma once

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

namespace weft::compare {

class output_file {
public:
  /// Makes sure that `path` can be written, without changing it; does nothing without a path.
  ///
  /// Waits:  for a reader, when it is a FIFO.
  /// Errors: throws std::system_error.
  explicit output_file(const std::optional<std::string>& path);

  /// Writes the report, and puts it in the place of the file that is there. What is no file of its
  /// own, such as /dev/full or a FIFO, gets it directly.
  ///
  /// Errors: throws std::system_error; a file that was there is then as it was, unless its folder
  /// takes no other file.
  void write(const std::string& report);

private:
  [[noreturn]] void fail() const;
  bool can_create_beside() const;
  bool replace() const;

  std::string path_;  // as it was given; empty for none
  bool to_stdout_ = false;
  std::ofstream file_;            // open from the beginning if there is nothing to replace
  std::filesystem::path target_;  // what is replaced,
  std::filesystem::path beside_;  // by this file; empty when the folder takes no other file
};

}  // namespace weft::compare
