// How every program of weft takes its arguments: CLI11, with errors for people.
//
// A bad argument prints one line on stderr that says what was wrong and what is accepted, and ends
// the program with exit code 2; --help prints to stdout and ends it with 0.
#pragma once

#include <cstdio>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

namespace weft::tools {

inline constexpr int exit_usage = 2;

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
  } catch (const CLI::ParseError& error) {
    std::string line = error.what();
    for (char& c : line) {
      if (c == '\n') c = ' ';
    }
    std::fprintf(stderr, "%s: %s; see %s --help\n", app.get_name().c_str(), line.c_str(),
                 app.get_name().c_str());
    return exit_usage;
  }
}

}  // namespace weft::tools
