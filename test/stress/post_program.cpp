// Plain threads that post to a runtime before, between and while its runs, and a second runtime
// beside it that takes what they produce: every future is resolved, what has begun has ended, and
// each number that was sent to the other runtime was received there once.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>

#include <weft/co.hpp>

#include "stress/program.hpp"

namespace weft::test::stress {
namespace {

using namespace std::chrono_literals;

class post_office {
public:
  post_office(outcome& result, dice& random)
      : result_(result), workers_(1 + static_cast<unsigned>(random.below(3))),
        across_(random.below(3)),
        main_(std::make_unique<runtime>(runtime_options{.workers = workers_})) {}

  // What a plain thread does.
  void post_all(std::uint64_t seed) {
    dice random{seed};
    std::vector<std::future<std::uint64_t>> futures;
    for (std::size_t i = 20 + random.below(100); i != 0; --i) {
      result_.count_operation();
      try {
        post_one(random, futures);
      } catch (const std::system_error& error) {
        result_.expect(error.code() == errc::closed, "a post is refused between two runs only");
        std::this_thread::yield();
      }
      if (random.once_in(64)) std::this_thread::sleep_for(random.short_time());
    }
    --posting_;
    for (auto& each : futures) check_future(each);
  }

  // Runs the main function until nobody posts any more.
  void run_again_and_again(dice& random) {
    do {
      try {
        main_->run([&] { main_function(random); });
      } catch (const planned_failure&) {
      } catch (const std::system_error& error) {
        result_.expect(error.code() == errc::cancelled, "a run is cancelled by a stop only");
      }
    } while (posting_ != 0);
    main_.reset();
  }

  // The other runtime: takes numbers until there are no more.
  void take_all(std::uint64_t seed) {
    dice random{seed};
    runtime other{{.workers = 1 + static_cast<unsigned>(random.below(2))}};
    other.run([&] {
      task_group takers;
      for (std::size_t i = 1 + random.below(3); i != 0; --i) {
        takers.spawn_anywhere([this] {
          while (const auto number = across_.receive()) ++taken_, sum_taken_ += *number;
        });
        takers.spawn_anywhere([this]() -> co::task<> {
          while (const auto number = co_await across_.co_receive()) ++taken_, sum_taken_ += *number;
        });
      }
      takers.join();
    });
  }

  void close() { across_.close(); }

  void expect_threads(std::size_t count) { posting_ = count; }

  void check() {
    result_.expect_equal("numbers taken", taken_, sent_);
    result_.expect_equal("numbers taken, their sum,", sum_taken_, sum_sent_);
    result_.expect_equal("posted functions left", static_cast<std::uint64_t>(alive_.load()), 0);
    result_.expect_equal("futures with a value", values_, completed_);
    result_.expect_equal("permits", permits_.available(), 1);
  }

private:
  void post_one(dice& random, std::vector<std::future<std::uint64_t>>& futures) {
    const auto function = [this, here = counted{alive_}, seed = random.seed()] {
      return serve(seed);
    };
    const auto task = [this, here = counted{alive_}, seed = random.seed()]() {
      return co_serve(seed);
    };
    switch (random.below(4)) {
    case 0: futures.push_back(main_->spawn(function)); break;
    case 1: futures.push_back(main_->spawn(task)); break;
    case 2: main_->post([this, here = counted{alive_}] { send(1); }); break;
    default:
      if (random.once_in(16)) main_->request_stop();
      main_->post([this, here = counted{alive_}]() -> co::task<> {
        std::error_code ec;
        co_await across_.co_send_for(std::uint64_t{2}, 0s, ec);
        if (!ec) note_sent(2);
      });
    }
  }

  // Also elsewhere than on worker 0, with something that is scarce.
  std::uint64_t serve(std::uint64_t seed) {
    dice random{seed};
    if (random.once_in(8)) throw planned_failure{};
    send(random.below(100));
    auto elsewhere = spawn_on(random.below(workers_), [this, &random] {
      permits_.acquire();
      result_.expect(inside_.fetch_add(1) == 0, "one at a time has the only permit");
      if (random.once_in(2)) this_fiber::yield();
      --inside_;
      permits_.release();
    });
    elsewhere.join();
    ++completed_;
    return seed;
  }

  co::task<std::uint64_t> co_serve(std::uint64_t seed) {
    dice random{seed};
    if (random.once_in(8)) throw planned_failure{};
    co_await permits_.co_acquire();
    result_.expect(inside_.fetch_add(1) == 0, "one at a time has the only permit");
    const shield kept_off;
    if (random.once_in(2)) co_await co::yield();
    --inside_;
    permits_.release();
    ++completed_;
    co_return seed;
  }

  void send(std::uint64_t number) {
    std::error_code ec;
    if (across_.send_for(number, 100us, ec)) note_sent(number);
  }

  void note_sent(std::uint64_t number) {
    ++sent_;
    sum_sent_ += number;
  }

  static void main_function(dice& random) {
    for (std::size_t i = random.below(100); i != 0; --i) this_fiber::yield();
    if (random.once_in(8)) this_fiber::sleep_for(random.short_time());
    if (random.once_in(8)) throw planned_failure{};
  }

  void check_future(std::future<std::uint64_t>& each) {
    // Keeps the failure until it has been looked at: ThreadSanitizer does not see how libstdc++
    // counts who uses an exception.
    const auto kept = each.share();
    try {
      kept.get();
      ++values_;
    } catch (...) {
      result_.expect(is_expected(std::current_exception()), "a future fails as it may");
    }
  }

  outcome& result_;
  const unsigned workers_;
  std::atomic<std::size_t> posting_ = 0;  // threads
  std::atomic<std::int64_t> alive_ = 0;
  std::atomic<std::uint64_t> values_ = 0, completed_ = 0;
  channel<std::uint64_t> across_;
  std::atomic<std::uint64_t> sent_ = 0, sum_sent_ = 0;
  std::atomic<std::uint64_t> taken_ = 0, sum_taken_ = 0;
  semaphore permits_{1};
  std::atomic<int> inside_ = 0;
  std::unique_ptr<runtime> main_;
};

}  // namespace

void post_to_two_runtimes(dice& random, outcome& result) {
  post_office office{result, random};
  const std::size_t count = 1 + random.below(3);
  office.expect_threads(count);
  std::vector<std::thread> posters;
  for (std::size_t i = 0; i < count; ++i) {
    posters.emplace_back([&office, seed = random.seed()] { office.post_all(seed); });
  }
  std::thread taker{[&office, seed = random.seed()] { office.take_all(seed); }};
  office.run_again_and_again(random);
  for (auto& each : posters) each.join();
  office.close();
  taker.join();
  office.check();
}

}  // namespace weft::test::stress
