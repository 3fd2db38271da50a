#include "campaign.hpp"

#include <map>
#include <random>
#include <utility>

#include "progress.hpp"

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

class campaign {
public:
  campaign(const options& settings, const plan& wanted, const bench& setup,
           steady::time_point begin)
      : settings_{settings}, plan_{wanted}, setup_{setup},
        deadline_{begin + settings.budget.value_or(24h * 365)}, random_{settings.seed},
        progress_{settings.rounds, time_of_round(wanted, setup)} {}

  campaign_result run() {
    try {
      while (result_.rounds < settings_.rounds && !result_.out_of_time) run_round();
    } catch (const interrupted&) {
      result_.stopped_by = setup_.signals.signal();
    }
    progress_.clear();
    return std::move(result_);
  }

private:
  void run_round() {
    for (const load_case& load : plan_.cases) {
      for (const server& what : shuffled(plan_.servers)) {
        if (result_.out_of_time) return;
        if (!given_up(load, what)) take_sample(load, what);
      }
    }
    if (!result_.out_of_time) ++result_.rounds;
  }

  void take_sample(const load_case& load, const server& what) {
    auto taken = attempt(load, what, 1);
    if (!taken) return;
    if (!taken->disturbed) vain_repeats_ = 0;
    if (taken->disturbed && vain_repeats_ < most_vain_repeats) {
      if (auto again = attempt(load, what, 2)) {
        vain_repeats_ = again->disturbed ? vain_repeats_ + 1 : 0;
        result_.replaced.push_back(*std::exchange(taken, std::move(again)));
      }
    }
    progress_.add(expected_time(setup_, load));
    unsigned& failures = failures_[{load.name(), what.name}];
    failures = taken->error.empty() ? 0 : failures + 1;
    result_.samples.push_back(std::move(*taken));
  }

  // Returns nothing when there is no time left.
  std::optional<sample> attempt(const load_case& load, const server& what, std::uint32_t number) {
    const auto needed = std::chrono::duration_cast<steady::duration>(expected_time(setup_, load));
    if (steady::now() + needed + budget_reserve > deadline_) {
      result_.out_of_time = true;
      return std::nullopt;
    }
    progress_.show(result_.rounds, load, what);
    sample taken = measure(setup_, load, what, deadline_);
    taken.round = result_.rounds + 1;
    taken.attempt = number;
    return taken;
  }

  bool given_up(const load_case& load, const server& what) const {
    const auto found = failures_.find({load.name(), what.name});
    return found != failures_.end() && found->second >= most_failures;
  }

  // Not std::shuffle, whose order for a seed differs between libraries.
  std::vector<server> shuffled(std::vector<server> servers) {
    for (std::size_t left = servers.size(); left > 1; --left) {
      std::swap(servers[left - 1], servers[random_() % left]);
    }
    return servers;
  }

  const options& settings_;
  const plan& plan_;
  const bench& setup_;
  const steady::time_point deadline_;
  std::mt19937_64 random_;
  progress_line progress_;
  std::map<std::pair<std::string, std::string>, unsigned>
      failures_;               // in a row, by case and server
  unsigned vain_repeats_ = 0;  // in a row
  campaign_result result_;
};

}  // namespace

campaign_result run_campaign(const options& settings, const plan& wanted, const bench& setup,
                             steady::time_point begin) {
  return campaign{settings, wanted, setup, begin}.run();
}

}  // namespace weft::compare
