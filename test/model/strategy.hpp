// Who goes on at each point of a run: by chance, by priorities, or all possibilities in turn.
//
// Every choice follows from a schedule's name, so that a run can be repeated: a number is the seed
// of a random schedule; `12=1,40=2` says that decision 12 took its second option, decision 40 its
// third, and all others their first; `0=0` is the run without preemption.
// Threads: whoever runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace weft::model {

/// One of those who could go on.
struct option {
  int thread = 0;
  bool deadline = false;  // it sleeps, and goes on because its deadline passes
};

/// What a strategy is asked: the options, the running thread first if it can go on, then the other
/// threads that can, then those whose deadline could pass.
struct decision {
  std::span<const option> options;
  bool current_can_go_on = false;
  std::size_t step = 0;  // accesses so far in this run

  /// Whether taking `index` keeps one that could go on from doing so.
  bool preempts(std::size_t index) const noexcept {
    return current_can_go_on ? index != 0 : options[index].deadline && !options[0].deadline;
  }
};

class strategy {
public:
  strategy() = default;
  strategy(const strategy&) = delete;
  strategy& operator=(const strategy&) = delete;
  virtual ~strategy() = default;

  /// Returns the index of the option that is taken.
  virtual std::size_t pick(const decision& what) = 0;

  /// Returns from which step on a deadline may pass that somebody begins to sleep with at `step`,
  /// even if others can go on.
  virtual std::size_t deadline_step(std::size_t step) = 0;

  /// Names the schedule under way.
  virtual std::string name() const = 0;
};

/// A schedule that follows from a seed: half of them change threads with a chance that differs from
/// seed to seed, half obey random priorities that change at a few random steps (Burckhardt et al.:
/// A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs, ASPLOS 2010).
/// `usual_steps` is how long runs of the model are.
std::unique_ptr<strategy> random_schedule(std::uint64_t seed, std::size_t usual_steps);

/// The schedule whose name tells its decisions. Throws std::invalid_argument.
std::unique_ptr<strategy> given_schedule(const std::string& name);

/// All schedules with at most `most_preemptions`, one a run.
class every_schedule final : public strategy {
public:
  explicit every_schedule(int most_preemptions);

  std::size_t pick(const decision& what) override;

  std::size_t deadline_step(std::size_t step) override { return step; }

  std::string name() const override;

  /// Goes on to the next schedule; false when there is none.
  bool next();

private:
  struct branch {
    std::size_t taken = 0;
    std::size_t options = 0;
  };

  const int most_preemptions_;
  int preemptions_ = 0;  // in the run under way
  std::size_t depth_ = 0;
  std::vector<branch> path_;
};

}  // namespace weft::model
