#include "campaign.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <utility>

#include "progress.hpp"
#include "statistics.hpp"

namespace weft::compare {
namespace {

using namespace std::chrono_literals;

// A server that fails twice in a row in a case fails always; its time-outs would cost hours.
constexpr unsigned most_failures = 2;

// Strangers that are still there after so many repeats in a row are there to stay; the time is
// better spent on more rounds, until a sample is quiet again.
constexpr unsigned most_vain_repeats = 3;

// The sample that fits the budget by a hair is not begun: ending a server takes a moment too.
constexpr auto budget_reserve = 1s;

// Of the samples that do not count.
constexpr std::chrono::duration<double> short_time = 150ms;

// What does not count need not be long.
bench short_samples(const bench& setup) {
  bench result = setup;
  result.warm_up = std::min(result.warm_up, short_time);
  result.seconds = std::min(result.seconds, short_time);
  return result;
}

constexpr unsigned capacity_samples = 3;

class campaign {
public:
  campaign(const options& settings, const plan& wanted, const bench& setup,
           steady::time_point begin)
      : settings_{settings}, plan_{wanted}, setup_{setup},
        deadline_{begin + settings.budget.value_or(24h * 365)}, random_{settings.seed},
        warm_up_{short_samples(setup)},
        progress_{settings.rounds, expected_time_of(settings, wanted, setup)} {}

  campaign_result run() {
    try {
      measure_capacities();
      while (result_.warm_up_rounds < settings_.warm_up_rounds && !result_.out_of_time) {
        run_warm_up_round();
      }
      while (result_.rounds < settings_.rounds && !result_.out_of_time) run_round();
    } catch (const interrupted&) {
      result_.stopped_by = setup_.signals.signal();
    }
    progress_.clear();
    return std::move(result_);
  }

private:
  // Measures what the callbacks answer at full speed where a load is a share of that; the median of
  // a few samples.
  void measure_capacities() {
    const server& callbacks = find_server(baseline_server);
    for (const load_case& load : plan_.cases) {
      const load_case full = load.at_full_speed();
      if (load.rate_percent == 0 || result_.capacities.contains(full.name())) continue;
      std::vector<double> rates;
      for (unsigned i = 0; i < capacity_samples; ++i) {
        const auto taken = attempt(setup_, full, callbacks, {0, 1});
        if (!taken) return;
        if (taken->requests_per_second) rates.push_back(*taken->requests_per_second);
      }
      if (!rates.empty()) result_.capacities[full.name()] = median(rates);
    }
  }

  void run_warm_up_round() {
    const bool complete = for_each_sample([this](const load_case& load, const server& what) {
      auto taken = attempt(warm_up_, load, what, {0, 1});
      if (!taken) return;
      progress_.add(expected_time(warm_up_, load));
      note_failure(load, what, *taken);
      if (!taken->error.empty() && !taken->starved) result_.samples.push_back(std::move(*taken));
    });
    if (complete) ++result_.warm_up_rounds;
  }

  void run_round() {
    if (for_each_sample([this](const auto& load, const auto& what) { take_sample(load, what); })) {
      ++result_.rounds;
    }
  }

  // Calls `take` for each case and server, in the order of this round. Returns false when there was
  // no time for all of them.
  template <typename Take>
  bool for_each_sample(Take take) {
    for (const load_case& load : shuffled(plan_.cases)) {
      for (const server& what : shuffled(plan_.servers)) {
        if (plan::has(load, what) && !given_up(load, what)) take(load, what);
        if (result_.out_of_time) return false;
      }
    }
    return true;
  }

  void take_sample(const load_case& load, const server& what) {
    const std::uint32_t round = result_.rounds + 1;
    auto taken = attempt(setup_, load, what, {round, 1});
    if (!taken) return;
    if (!taken->disturbed) vain_repeats_ = 0;
    // What a server has done wrong is not undone by what others did meanwhile.
    const bool failed = !taken->error.empty() && !taken->starved;
    if (taken->disturbed && !failed && vain_repeats_ < most_vain_repeats) {
      if (auto again = attempt(setup_, load, what, {round, 2})) {
        vain_repeats_ = again->disturbed ? vain_repeats_ + 1 : 0;
        result_.replaced.push_back(*std::exchange(taken, std::move(again)));
      }
    }
    progress_.add(expected_time(setup_, load));
    note_failure(load, what, *taken);
    result_.samples.push_back(std::move(*taken));
  }

  void note_failure(const load_case& load, const server& what, const sample& taken) {
    unsigned& failures = failures_[{load.name(), what.name}];
    if (taken.starved) return;
    failures = taken.error.empty() ? 0 : failures + 1;
  }

  struct place {
    std::uint32_t round;
    std::uint32_t attempt;
  };

  // Returns nothing when there is no time left.
  std::optional<sample> attempt(const bench& setup, const load_case& load, const server& what,
                                place where) {
    const auto needed = std::chrono::duration_cast<steady::duration>(expected_time(setup, load));
    if (steady::now() + needed + budget_reserve > deadline_) {
      result_.out_of_time = true;
      return std::nullopt;
    }
    progress_.show(where.round, load, what);
    sample taken = take(setup, load, what);
    taken.round = where.round;
    taken.attempt = where.attempt;
    return taken;
  }

  sample take(const bench& setup, const load_case& load, const server& what) {
    if (load.rate_percent == 0) return measure(setup, load, what, std::nullopt, deadline_);
    const auto capacity = result_.capacities.find(load.at_full_speed().name());
    if (capacity != result_.capacities.end()) {
      return measure(setup, load, what, capacity->second * load.rate_percent / 100, deadline_);
    }
    sample failed;
    failed.case_name = load.name();
    failed.server = what.name;
    failed.error = "the capacity could not be measured";
    return failed;
  }

  bool given_up(const load_case& load, const server& what) const {
    const auto found = failures_.find({load.name(), what.name});
    return found != failures_.end() && found->second >= most_failures;
  }

  // Not std::shuffle, whose order for a seed differs between libraries.
  template <typename Item>
  std::vector<Item> shuffled(std::vector<Item> items) {
    for (std::size_t left = items.size(); left > 1; --left) {
      std::swap(items[left - 1], items[random_() % left]);
    }
    return items;
  }

  const options& settings_;
  const plan& plan_;
  const bench& setup_;
  const steady::time_point deadline_;
  std::mt19937_64 random_;
  const bench warm_up_;  // its samples do not count
  progress_line progress_;
  std::map<std::pair<std::string, std::string>, unsigned>
      failures_;               // in a row, by case and server
  unsigned vain_repeats_ = 0;  // in a row
  campaign_result result_;
};

}  // namespace

std::chrono::duration<double> expected_time_of(const options& settings, const plan& wanted,
                                               const bench& setup) {
  auto all = settings.warm_up_rounds * time_of_round(wanted, short_samples(setup)) +
             settings.rounds * time_of_round(wanted, setup);
  for (const load_case& load : wanted.cases) {
    if (load.rate_percent != 0) all += capacity_samples * expected_time(setup, load);
  }
  if (!settings.budget) return all;
  return std::min<std::chrono::duration<double>>(all, *settings.budget);
}

void shorten_samples(const options& settings, const plan& wanted, bench& setup) {
  if (!settings.budget || settings.samples_are_as_long_as_asked) return;
  options unlimited = settings;
  unlimited.budget.reset();
  constexpr int least_percent = 40;
  constexpr int step = 5;
  for (int percent = 100; percent >= least_percent; percent -= step) {
    setup.seconds = settings.seconds * percent / 100;
    setup.warm_up = settings.warm_up * percent / 100;
    if (expected_time_of(unlimited, wanted, setup) + budget_reserve <= *settings.budget) return;
  }
}

campaign_result run_campaign(const options& settings, const plan& wanted, const bench& setup,
                             steady::time_point begin) {
  return campaign{settings, wanted, setup, begin}.run();
}

}  // namespace weft::compare
