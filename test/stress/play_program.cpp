// Fibers and coroutines on several workers and plain threads that lock, wait, send, read and write,
// are cancelled and timed out in the middle, and what they share is checked when all have ended.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include <weft/co.hpp>
#include <weft/fiber/testing.hpp>

#include "stress/program.hpp"
#include "stress/world.hpp"

namespace weft::test::stress {
namespace {

// The scope of the operation that a task is in, for whoever wants to cancel it: itself, or by a
// stop token.
class reachable_scope {
public:
  void enter(cancel_scope& scope) {
    const std::lock_guard hold{lock_};
    scope_ = &scope;
  }

  void leave() {
    const std::lock_guard hold{lock_};
    scope_ = nullptr;
  }

  void cancel() {
    const std::lock_guard hold{lock_};
    if (scope_ != nullptr) scope_->request_cancel();
  }

  std::stop_token token() {
    const std::lock_guard hold{lock_};
    if (stop_.stop_requested()) stop_ = std::stop_source{};
    return stop_.get_token();
  }

  void stop() {
    auto which = [this] {
      const std::lock_guard hold{lock_};
      return stop_;
    }();
    which.request_stop();
  }

private:
  std::mutex lock_;  // guards the rest
  cancel_scope* scope_ = nullptr;
  std::stop_source stop_;
};

// The scopes that one operation is done in.
class operation_scopes {
public:
  operation_scopes(dice& random, reachable_scope& mine) : limit_(random.limit()), mine_(mine) {
    if (random.once_in(4)) bridge_.emplace(mine.token());
    if (random.once_in(10)) {
      kept_off_.emplace();
      own_limit_.emplace(random.limit());
    }
    mine.enter(limit_);
  }

  operation_scopes(const operation_scopes&) = delete;
  operation_scopes& operator=(const operation_scopes&) = delete;

  ~operation_scopes() {
    mine_.leave();
    own_limit_.reset();
    kept_off_.reset();
    bridge_.reset();
  }

private:
  timeout limit_;  // so that nothing waits for ever
  std::optional<cancel_scope> bridge_;
  std::optional<shield> kept_off_;
  std::optional<timeout> own_limit_;
  reachable_scope& mine_;
};

class game {
public:
  game(dice& random, outcome& result)
      : random_(random), result_(result), workers_(1 + static_cast<unsigned>(random.below(4))),
        fibers_(2 + random.below(20)), threads_(random.below(4)),
        operations_(50 + random.below(400)), scopes_(fibers_ + threads_) {}

  void run() {
    runtime instance{{.workers = workers_}};
    instance.run([&] {
      const testing::leak_check nothing_is_left{
          [&](const std::string& what) { result_.add_wrong("left over: " + what); }};
      world things;
      run_tasks(things);
      things.check(result_);
    });
  }

private:
  void run_tasks(world& things) {
    std::vector<std::thread> threads;
    std::vector<fiber<>> fibers;
    for (std::size_t who = 0; who < threads_; ++who) {
      threads.emplace_back([&, who, seed = random_.seed()] {
        play(things, who, seed);
        ++ended_threads_;
      });
    }
    for (std::size_t who = threads_; who < threads_ + fibers_; ++who) {
      const std::uint64_t seed = random_.seed();
      if (random_.once_in(2)) {
        fibers.push_back(spawn_on(who % workers_, [&, who, seed] { play(things, who, seed); }));
      } else {
        fibers.push_back(
            co::spawn_on(who % workers_, [&, who, seed] { return co_play(things, who, seed); }));
      }
    }
    disturb(things, fibers);
    for (auto& each : fibers) each.join();
    for (auto& each : threads) each.join();
  }

  void play(world& things, std::size_t who, std::uint64_t seed) {
    dice random{seed};
    for (std::size_t i = 0; i < operations_ && !this_fiber::cancel_requested(); ++i) {
      const operation_scopes scopes{random, scopes_[who]};
      things.act(random);
      result_.count_operation();
    }
  }

  co::task<> co_play(world& things, std::size_t who, std::uint64_t seed) {
    dice random{seed};
    for (std::size_t i = 0; i < operations_ && !this_fiber::cancel_requested(); ++i) {
      const operation_scopes scopes{random, scopes_[who]};
      co_await things.co_act(random);
      result_.count_operation();
    }
  }

  // Until all tasks have ended, ends waits as they should be ended and cancels operations, now and
  // then a whole task. It hardly ever sleeps, so that the workers have something to do.
  void disturb(world& things, std::vector<fiber<>>& fibers) {
    const auto has_ended = [](const fiber<>& each) { return each.done(); };
    while (ended_threads_ != threads_ || !std::ranges::all_of(fibers, has_ended)) {
      if (random_.once_in(4)) scopes_[random_.below(scopes_.size())].cancel();
      if (random_.once_in(8)) scopes_[random_.below(scopes_.size())].stop();
      if (random_.once_in(2'000)) fibers[random_.below(fibers.size())].request_cancel();
      if (random_.once_in(1'000)) things.close_one(random_);
      for (std::size_t i = random_.below(4); i != 0; --i) things.nudge(random_);
      if (random_.once_in(200)) {
        this_fiber::sleep_for(random_.limit());
      } else {
        this_fiber::yield();
      }
    }
  }

  dice& random_;
  outcome& result_;
  const unsigned workers_;
  const std::size_t fibers_, threads_, operations_;
  std::deque<reachable_scope> scopes_;
  std::atomic<std::size_t> ended_threads_ = 0;
};

}  // namespace

void play_with_all(dice& random, outcome& result) { game{random, result}.run(); }

}  // namespace weft::test::stress
