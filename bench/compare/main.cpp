// weft-compare: runs echo servers of different styles side by side under weft-load and tells what
// differs, and by how much that can be known.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

#include <fmt/format.h>

#include <weft/tools/standard_streams.hpp>

#include "campaign.hpp"
#include "environment.hpp"
#include "options.hpp"
#include "output_file.hpp"
#include "plan.hpp"
#include "proc.hpp"
#include "report_json.hpp"
#include "report_markdown.hpp"
#include "report_page.hpp"
#include "report_table.hpp"
#include "summary.hpp"
#include "text.hpp"

namespace {

using namespace weft::compare;

constexpr int exit_failed = 1;
constexpr int exit_signal_base = 128;

int refuse(const std::string& why) {
  std::fputs(fmt::format("weft-compare: {}\n", why).c_str(), stderr);  // print would throw
  return exit_failed;
}

void print(const std::string& text) {
  // Flushed, for whoever reads a pipe wants to see it before the long part.
  if (!weft::tools::write_out(text)) {
    throw std::system_error(errno, std::system_category(), "cannot write to stdout");
  }
}

std::string seconds_text(std::chrono::duration<double> time) {
  return fmt::format("{} s", time.count());
}

void print_beginning(const options& settings, const environment& where, const bench& setup,
                     const plan& wanted) {
  const auto expected =
      std::chrono::ceil<std::chrono::seconds>(expected_time_of(settings, wanted, setup));
  print(where.text());
  print(setup.cores.text() + "\n");
  print(fmt::format("up to {} rounds, each sample {} after {} of warm-up; --seed {}; about {}\n",
                    settings.rounds, seconds_text(setup.seconds), seconds_text(setup.warm_up),
                    settings.seed, duration_text(expected)));
  for (const omission& each : wanted.missing_servers) refuse(each.reason);
  for (const omission& each : wanted.skipped_cases) {
    refuse(fmt::format("{} is skipped: {}", each.name, each.reason));
  }
}

int exit_code(const options& settings, const plan& wanted, const campaign_result& measured,
              const std::vector<cell>& cells) {
  if (measured.stopped_by != 0) return exit_signal_base + measured.stopped_by;
  // Those that nobody has asked for by name may be missing.
  const auto may_be_missing = [&](const cell& each) {
    return !settings.servers_are_named &&
           std::ranges::any_of(wanted.missing_servers, [&](const omission& missing) {
             return missing.name == each.server && !find_server(missing.name).package.empty();
           });
  };
  const bool failed = std::ranges::any_of(cells, [&](const cell& each) {
    const bool only_starved = each.starved > 0 && each.failed == 0;
    const bool has_no_numbers = !each.failure.empty() && !only_starved && !may_be_missing(each);
    return has_no_numbers || each.failed > 0;
  });
  return failed || cells.empty() ? exit_failed : 0;
}

// Returns false, and says why, when the report cannot be written.
bool try_write(output_file& file, const std::string& report) {
  try {
    file.write(report);
    return true;
  } catch (const std::system_error& error) {
    refuse(error.what());
    return false;
  }
}

// Prints the servers and the cases, and which of them can be measured here.
int list(const options& settings) {
  const plan here = make_plan(settings, program_folder());
  std::string text = "servers\n";
  for (const server& each : settings.servers) {
    text += fmt::format("  {:<14} {}\n", each.name, each.style);
    for (const omission& missing : here.missing_servers) {
      if (missing.name == each.name) text += fmt::format("  {:<14}   {}\n", "", missing.reason);
    }
  }
  text += "cases\n";
  for (const load_case& each : settings.cases) {
    text += fmt::format("  {:<14} {}\n", each.name(), each.title());
    for (const omission& skipped : here.skipped_cases) {
      if (skipped.name == each.name()) text += fmt::format("  {:<14}   {}\n", "", skipped.reason);
    }
  }
  print(text);
  return 0;
}

// Empty when there is no such file.
std::string text_in(const std::string& path) {
  std::ifstream file{path};
  return {std::istreambuf_iterator<char>{file}, {}};
}

int compare(options settings, steady::time_point begin) {
  output_file report{settings.json_file};
  output_file page{settings.page_file};
  output_file results{settings.results_file};
  interrupt signals;
  const environment where = read_environment();
  bench setup{program_folder(), plan_cores(), settings.seconds, settings.warm_up, signals};
  if (!is_program(setup.folder, "weft-load")) {
    return refuse("there is no program weft-load in " + setup.folder);
  }
  if (!bind_to(setup.cores.load)) {
    return refuse(fmt::format("cannot bind to cores: {}", std::strerror(errno)));
  }
  raise_descriptor_limit();
  const plan wanted = make_plan(settings, setup.folder);
  shorten_samples(settings, wanted, setup);
  settings.seconds = setup.seconds;
  settings.warm_up = setup.warm_up;
  print_beginning(settings, where, setup, wanted);

  const campaign_result measured = run_campaign(settings, wanted, setup, begin);
  const std::vector<cell> cells = summarise(wanted, measured, setup.cores.shared());
  // Whichever of them cannot be written must not cost the others.
  const std::string json = json_report(settings, where, setup.cores, wanted, measured, cells);
  bool written = try_write(report, json);
  if (settings.page_file) written = try_write(page, page_report(settings, json)) && written;
  // One that was cut short says less than the one that is there.
  if (settings.results_file && measured.stopped_by == 0) {
    const std::string part = markdown_report(settings, where, setup.cores, wanted, measured, cells);
    written = try_write(results, with_part(text_in(*settings.results_file), part)) && written;
  }
  print(table_report(wanted, measured, cells));
  return written ? exit_code(settings, wanted, measured, cells) : exit_failed;
}

}  // namespace

int main(int argc, char** argv) {
  const steady::time_point begin = steady::now();
  weft::tools::occupy_closed_streams(weft::tools::closed_output::fails);
  options settings;
  if (const auto code = parse_options(argc, argv, settings)) return *code;
  try {
    if (settings.list) return list(settings);
    return compare(settings, begin);
  } catch (const std::exception& error) {
    return refuse(error.what());
  }
}
