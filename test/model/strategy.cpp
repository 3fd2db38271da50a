#include "strategy.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <map>
#include <stdexcept>
#include <utility>

namespace weft::model {
namespace {

constexpr std::size_t never = std::numeric_limits<std::size_t>::max();

// What random schedules have in common. Only the raw output of the generator is used: what
// std::uniform_int_distribution makes of it is not the same everywhere.
class seeded : public strategy {
public:
  seeded(std::uint64_t seed, std::size_t usual_steps)
      : seed_(seed), usual_steps_(std::max<std::size_t>(usual_steps, 1)), generator_(seed) {}

  std::string name() const override { return std::to_string(seed_); }

  // Half of the deadlines pass only when nobody else can go on.
  std::size_t deadline_step(std::size_t step) override {
    return below(2) == 0 ? never : step + below(usual_steps_);
  }

protected:
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(generator_() % limit); }

  std::size_t usual_steps() const noexcept { return usual_steps_; }

private:
  const std::uint64_t seed_;
  const std::size_t usual_steps_;
  std::mt19937_64 generator_;
};

class by_chance final : public seeded {
public:
  by_chance(std::uint64_t seed, std::size_t usual_steps) : seeded(seed, usual_steps) {
    constexpr std::size_t one_in[] = {2, 4, 10, 30};
    one_in_ = one_in[below(std::size(one_in))];
  }

  std::size_t pick(const decision& what) override {
    if (what.current_can_go_on && below(one_in_) != 0) return 0;
    return below(what.options.size());
  }

private:
  std::size_t one_in_ = 2;
};

class by_priority final : public seeded {
public:
  by_priority(std::uint64_t seed, std::size_t usual_steps) : seeded(seed, usual_steps) {
    for (std::size_t& each : changes_) each = below(usual_steps);
    for (std::int64_t& each : priorities_) {
      each = static_cast<std::int64_t>(below(std::size_t{1} << 32));
    }
  }

  std::size_t pick(const decision& what) override {
    if (std::ranges::find(changes_, what.step) != std::end(changes_)) {
      priority_of(what.options[0].thread) = lowest_--;
    }
    std::size_t best = 0;
    for (std::size_t i = 1; i < what.options.size(); ++i) {
      if (priority_of(what.options[i].thread) > priority_of(what.options[best].thread)) best = i;
    }
    return best;
  }

private:
  std::int64_t& priority_of(int thread) noexcept {
    return priorities_[static_cast<std::size_t>(thread) % priorities_.size()];
  }

  std::size_t changes_[3] = {};  // steps
  std::int64_t lowest_ = -1;
  std::array<std::int64_t, 16> priorities_{};
};

// The decisions that did not take their first option; all others take that.
class given final : public strategy {
public:
  given(std::string name, std::map<std::size_t, std::size_t> choices)
      : name_(std::move(name)), choices_(std::move(choices)) {}

  std::size_t pick(const decision& what) override {
    const auto found = choices_.find(depth_++);
    if (found == choices_.end()) return 0;
    return std::min(found->second, what.options.size() - 1);
  }

  std::size_t deadline_step(std::size_t step) override { return step; }

  std::string name() const override { return name_; }

private:
  const std::string name_;
  const std::map<std::size_t, std::size_t> choices_;
  std::size_t depth_ = 0;
};

std::size_t read_number(const char*& at, const char* end, char terminator) {
  std::size_t value = 0;
  const auto [rest, error] = std::from_chars(at, end, value);
  const bool ended = rest == end;
  if (error != std::errc{} || (ended ? terminator == '=' : *rest != terminator)) {
    throw std::invalid_argument("a schedule is a number, or DECISION=OPTION,...");
  }
  at = ended ? rest : rest + 1;
  return value;
}

}  // namespace

std::unique_ptr<strategy> random_schedule(std::uint64_t seed, std::size_t usual_steps) {
  if (seed % 2 == 0) return std::make_unique<by_chance>(seed, usual_steps);
  return std::make_unique<by_priority>(seed, usual_steps);
}

std::unique_ptr<strategy> given_schedule(const std::string& name) {
  std::map<std::size_t, std::size_t> choices;
  const char* at = name.data();
  const char* const end = at + name.size();
  while (at != end) {
    const std::size_t decision = read_number(at, end, '=');
    choices[decision] = read_number(at, end, ',');
  }
  return std::make_unique<given>(name, std::move(choices));
}

// ---- all schedules ------------------------------------------------------------------------------

every_schedule::every_schedule(int most_preemptions) : most_preemptions_(most_preemptions) {
  path_.reserve(std::size_t{1} << 16);  // more than a run has: it must not grow on a thread of it
}

std::size_t every_schedule::pick(const decision& what) {
  if (depth_ == path_.size()) {
    std::size_t affordable = what.options.size();
    if (preemptions_ == most_preemptions_) {
      while (affordable > 1 && what.preempts(affordable - 1)) --affordable;
    }
    path_.push_back({0, affordable});
  }
  const std::size_t taken = path_[depth_++].taken;
  if (what.preempts(taken)) ++preemptions_;
  return taken;
}

bool every_schedule::next() {
  depth_ = 0;
  preemptions_ = 0;
  while (!path_.empty() && path_.back().taken + 1 == path_.back().options) path_.pop_back();
  if (path_.empty()) return false;
  ++path_.back().taken;
  return true;
}

std::string every_schedule::name() const {
  std::string text;
  for (std::size_t i = 0; i < depth_; ++i) {
    if (path_[i].taken == 0) continue;
    if (!text.empty()) text += ',';
    text += std::to_string(i);
    text += '=';
    text += std::to_string(path_[i].taken);
  }
  if (text.empty()) text = "0=0";
  return text;
}

}  // namespace weft::model
