// weft-model: interleaves small programs on the core of weft in as many ways as the time allows,
// and fails with the schedule and a trace when what they check does not hold.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>

#include <weft/fiber/detail/planted.hpp>
#include <weft/tools/command_line.hpp>

#include "explore.hpp"

namespace {

using weft::model::exploration;
using weft::model::limits;
using weft::model::model;

struct options {
  std::string model;
  std::string seed;
  double seconds = 3;
  std::size_t runs = 20'000;
  std::size_t least_runs = 0;
  int preemptions = 2;
  int planted = 0;
  bool list = false;
};

std::optional<int> parse_options(int argc, char** argv, options& settings) {
  weft::tools::command_line arguments{
      "weft-model", "Checks the concurrent core of weft by interleaving it in many ways."};
  arguments.set_footer(
      "Exit codes: 0 nothing was found, 1 a run failed or too few were made, 2 a bad argument.");
  arguments.add_text("--model", settings.model, "only this one; see --list");
  arguments
      .add_text("--seed", settings.seed,
                "repeat the schedule of this name, of which a run that fails tells; the model "
                "must be given")
      .from_environment("WEFT_MODEL_SEED");
  arguments
      .add_number("--seconds", settings.seconds, {0.01, 1e6, "a number of seconds"},
                  "how long to explore each model at most")
      .from_environment("WEFT_MODEL_SECONDS")
      .shows_default();
  arguments
      .add_number("--runs", settings.runs, {1, 1'000'000'000, "a whole number"},
                  "how many runs of each model at most")
      .from_environment("WEFT_MODEL_RUNS")
      .shows_default();
  arguments
      .add_number("--least-runs", settings.least_runs, {0, 1'000'000'000, "a whole number"},
                  "how many runs of each model at least: it goes on past --seconds, up to 60 times "
                  "as long, and fails if there are fewer even then")
      .shows_default();
  arguments
      .add_number("--preemptions", settings.preemptions, {0, 10, "a whole number"},
                  "the systematic part takes all schedules with so many at most")
      .shows_default();
  arguments.add_number("--plant", settings.planted,
                       {0, weft::detail::bug_count, "the number of a bug"},
                       "switch on the known bug of this number; 0 for none");
  arguments.add_flag("--list", settings.list, "print the models and what they are about");
  return arguments.parse(argc, argv);
}

// Returns whether that were enough runs.
bool explore(const model& which, const options& settings) {
  limits until;
  until.runs = settings.runs;
  until.time = std::chrono::nanoseconds(std::llround(settings.seconds * 1e9));
  until.least_runs = settings.least_runs;
  until.most_time = 60 * until.time;
  until.preemptions = settings.preemptions;
  const exploration found = weft::model::explore(which, until);
  std::printf("%-22s %7zu runs, %7zu distinct schedules; %zu with at most %d preemptions%s\n",
              which.name, found.runs, found.distinct, found.systematic, settings.preemptions,
              found.exhausted ? ", which are all" : "");
  std::fflush(stdout);
  if (found.too_few) {
    std::fprintf(stderr,
                 "weft-model: model %s made only %zu runs in %.2f s, not %zu: that shows nothing\n",
                 which.name, found.runs, 60 * settings.seconds, settings.least_runs);
  }
  return !found.too_few;
}

// Returns the exit code.
int run(const options& settings) {
  const auto models = weft::model::all_models();
  const auto of_name = [&](const model& each) { return settings.model == each.name; };
  if (!settings.model.empty() && std::ranges::none_of(models, of_name)) {
    throw std::invalid_argument("there is no model '" + settings.model + "'; see --list");
  }
  if (!settings.seed.empty() && settings.model.empty()) {
    throw std::invalid_argument("a seed needs its model, --model");
  }
  weft::detail::planted_bug = static_cast<weft::detail::bug>(settings.planted);
  bool enough = true;
  for (const model& each : models) {
    if (!settings.model.empty() && !of_name(each)) continue;
    if (settings.list) {
      std::printf("%-22s %s\n", each.name, each.about);
    } else if (!settings.seed.empty()) {
      weft::model::replay(each, settings.seed);
      std::printf("%-22s schedule %s found nothing\n", each.name, settings.seed.c_str());
    } else {
      enough = explore(each, settings) && enough;
    }
  }
  return enough ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
  options settings;
  if (const auto code = parse_options(argc, argv, settings)) return *code;
  int code = EXIT_SUCCESS;
  try {
    code = run(settings);
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "weft-model: %s\n", error.what());
    return weft::tools::exit_usage;
  }
  std::fflush(nullptr);
  // The threads that carry the models are not joined: they wait for more.
  std::_Exit(code);
}
