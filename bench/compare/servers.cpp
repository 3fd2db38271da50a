#include "servers.hpp"

#include <filesystem>
#include <stdexcept>
#include <unistd.h>

namespace weft::compare {

const std::vector<server>& all_servers() {
  static const std::vector<server> servers{
      {baseline_server, "a state machine on raw epoll"},
      {"echo-fibers", "a fiber for each connection"},
      {"echo-coroutines", "a coroutine for each connection"},
      {"echo-threads", "a thread for each connection, 64 KiB stacks"},
  };
  return servers;
}

std::string server_names() {
  std::string names;
  for (const server& each : all_servers()) names += (names.empty() ? "" : ", ") + each.name;
  return names;
}

const server& find_server(const std::string& name) {
  for (const server& each : all_servers()) {
    if (each.name == name) return each;
  }
  throw std::invalid_argument("'" + name + "' is no server, accepted are " + server_names());
}

std::string program_folder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().string();
}

bool is_program(const std::string& folder, const std::string& name) {
  return ::access((folder + "/" + name).c_str(), X_OK) == 0;
}

}  // namespace weft::compare
