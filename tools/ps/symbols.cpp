#include "symbols.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gelf.h>
#include <libelf.h>
#include <limits>
#include <map>
#include <memory>
#include <sstream>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace weft::ps {
namespace {

// A file that is open, and what libelf knows of it.
class elf_file {
public:
  explicit elf_file(const std::string& path)
      : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    struct stat status {};

    const bool is_file = descriptor_ >= 0 && ::fstat(descriptor_, &status) == 0 &&
                         S_ISREG(status.st_mode);  // a device may be mapped, too
    if (is_file) elf_.reset(::elf_begin(descriptor_, ELF_C_READ_MMAP, nullptr));
    if (elf_ != nullptr && ::elf_kind(elf_.get()) != ELF_K_ELF) elf_.reset();
  }

  elf_file(const elf_file&) = delete;
  elf_file& operator=(const elf_file&) = delete;

  ~elf_file() {
    elf_.reset();
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  explicit operator bool() const noexcept { return elf_ != nullptr; }

  // As the file has it: relative to where it is loaded if that may be anywhere.
  std::optional<std::uint64_t> value_of(const std::string& name) const {
    for (Elf_Scn* section = ::elf_nextscn(elf_.get(), nullptr); section != nullptr;
         section = ::elf_nextscn(elf_.get(), section)) {
      GElf_Shdr header;
      if (::gelf_getshdr(section, &header) == nullptr) continue;
      if (header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM) continue;
      if (header.sh_entsize == 0) continue;
      if (const auto found = value_in(section, header, name)) return found;
    }
    return std::nullopt;
  }

  // The address for which its first byte that is loaded was linked.
  std::uint64_t first_address() const {
    std::uint64_t lowest = std::numeric_limits<std::uint64_t>::max();
    std::size_t count = 0;
    ::elf_getphdrnum(elf_.get(), &count);
    for (std::size_t i = 0; i < count; ++i) {
      GElf_Phdr header;
      if (::gelf_getphdr(elf_.get(), static_cast<int>(i), &header) == nullptr) continue;
      if (header.p_type == PT_LOAD) {
        lowest = std::min<std::uint64_t>(lowest, header.p_vaddr - header.p_offset);
      }
    }
    return lowest;
  }

private:
  struct ending {
    void operator()(Elf* elf) const noexcept { ::elf_end(elf); }
  };

  std::optional<std::uint64_t> value_in(Elf_Scn* section, const GElf_Shdr& header,
                                        const std::string& name) const {
    Elf_Data* const data = ::elf_getdata(section, nullptr);
    if (data == nullptr) return std::nullopt;
    const auto count = static_cast<int>(header.sh_size / header.sh_entsize);
    for (int i = 0; i < count; ++i) {
      GElf_Sym symbol;
      if (::gelf_getsym(data, i, &symbol) == nullptr) break;
      if (GELF_ST_TYPE(symbol.st_info) != STT_OBJECT || symbol.st_shndx == SHN_UNDEF) continue;
      const char* const text = ::elf_strptr(elf_.get(), header.sh_link, symbol.st_name);
      if (text != nullptr && name == text) return symbol.st_value;
    }
    return std::nullopt;
  }

  int descriptor_;
  std::unique_ptr<Elf, ending> elf_;
};

// Where the beginning of each file is mapped.
std::map<std::string, std::uint64_t> beginnings_of_files(pid_t process) {
  const std::string path = "/proc/" + std::to_string(process) + "/maps";
  std::ifstream maps{path};
  if (!maps) throw std::system_error(errno, std::system_category(), path);
  std::map<std::string, std::uint64_t> result;
  for (std::string line; std::getline(maps, line);) {
    std::istringstream fields{line};
    std::string range, access, offset, device, inode, name;
    fields >> range >> access >> offset >> device >> inode >> std::ws;
    std::getline(fields, name);
    const bool begins = offset.find_first_not_of('0') == std::string::npos;
    if (inode == "0" || !begins) continue;
    result.try_emplace(name, std::stoull(range, nullptr, 16));
  }
  return result;
}

}  // namespace

std::optional<std::uint64_t> address_of_symbol(pid_t process, const std::string& name) {
  ::elf_version(EV_CURRENT);
  const std::string folder = "/proc/" + std::to_string(process);
  std::error_code ignored;  // then its file is looked for by its name
  const std::string program = std::filesystem::read_symlink(folder + "/exe", ignored);
  for (const auto& [path, begin] : beginnings_of_files(process)) {
    // As the process sees it, in a container too; a program that was replaced meanwhile as well.
    std::string visible = folder;
    if (path == program) {
      visible += "/exe";
    } else {
      visible.append("/root").append(path);
    }
    const elf_file file{visible};
    if (!file) continue;
    if (const auto value = file.value_of(name)) return begin + (*value - file.first_address());
  }
  return std::nullopt;
}

}  // namespace weft::ps
