// A folder for the files of one test.
#pragma once

#include <cerrno>
#include <filesystem>
#include <stdlib.h>
#include <string>
#include <string_view>
#include <system_error>

namespace weft::test {

/// A new folder that is removed with everything in it. Its path is short enough for the addresses
/// of UNIX sockets where that of temporary files is.
class scratch_folder {
public:
  scratch_folder() {
    std::string name = std::filesystem::temp_directory_path() / "weft-test-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) {
      throw std::system_error(errno, std::system_category(), "mkdtemp");
    }
    path_ = name;
  }

  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;

  ~scratch_folder() {
    std::error_code ignored;  // nothing is left to do about it
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

  std::string path(std::string_view name) const { return path_ / name; }

private:
  std::filesystem::path path_;
};

}  // namespace weft::test
