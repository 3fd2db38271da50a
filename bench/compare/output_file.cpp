#include "output_file.hpp"

#include <cerrno>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include <weft/tools/standard_streams.hpp>

namespace weft::compare {
namespace {

namespace fs = std::filesystem;

// What the run prints to, which /dev/stdout names, must not be replaced or written to at another
// offset meanwhile.
bool is_stdout(const struct stat& status) {
  struct stat own {};

  return ::fstat(STDOUT_FILENO, &own) == 0 && own.st_dev == status.st_dev &&
         own.st_ino == status.st_ino;
}

}  // namespace

output_file::output_file(const std::optional<std::string>& path) : path_{path.value_or("")} {
  if (!path) return;

  struct stat status {};

  const bool exists = ::stat(path_.c_str(), &status) == 0;
  to_stdout_ = exists && is_stdout(status);
  if (to_stdout_) return;
  if (exists && !S_ISREG(status.st_mode)) {
    file_.open(path_, std::ios::app);
    if (!file_) fail();
    return;
  }
  if (exists && ::access(path_.c_str(), W_OK) != 0) fail();
  target_ = exists ? fs::canonical(path_) : fs::path{path_};  // a link stays one
  beside_ = target_;
  beside_ += "." + std::to_string(::getpid()) + ".tmp";
  if (can_create_beside()) return;
  if (!exists) fail();
  beside_.clear();
}

void output_file::write(const std::string& report) {
  if (path_.empty()) return;
  if (to_stdout_ && !tools::write_out(report)) fail();
  if (to_stdout_) return;
  if (!file_.is_open()) file_.open(beside_.empty() ? target_ : beside_);
  file_ << report;
  file_.close();
  if (file_ && replace()) return;
  const int error = errno;
  if (!beside_.empty()) ::unlink(beside_.c_str());
  errno = error;
  fail();
}

bool output_file::replace() const {
  if (beside_.empty()) return true;

  struct stat old {};

  if (::stat(target_.c_str(), &old) == 0) ::chmod(beside_.c_str(), old.st_mode & 07777);
  return ::rename(beside_.c_str(), target_.c_str()) == 0;
}

void output_file::fail() const {
  throw std::system_error(errno, std::system_category(), "cannot write " + path_);
}

bool output_file::can_create_beside() const {
  if (!std::ofstream{beside_}) return false;
  ::unlink(beside_.c_str());
  return true;
}

}  // namespace weft::compare
