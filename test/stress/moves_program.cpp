// Values whose moves throw now and then go through channels of all capacities, between fibers,
// coroutines and plain threads: each is received once, or has stayed with its sender.
#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <weft/co.hpp>

#include "stress/program.hpp"

namespace weft::test::stress {
namespace {

// What all parcels of a program share.
struct depot {
  std::atomic<std::uint32_t> moves = 0;
  std::atomic<std::uint64_t> sent = 0, sum_sent = 0;
  std::atomic<std::uint64_t> received = 0, sum_received = 0;
  // Parcels that were destroyed with their number in them: by a co_receive() whose result threw
  // when it was moved out of what was awaited, to the caller.
  std::atomic<std::uint64_t> lost = 0, sum_lost = 0;
  std::atomic<std::uint64_t> may_be_lost = 0;
};

// A number that is in one parcel at a time.
class parcel {
public:
  parcel(depot& home, std::uint64_t number) noexcept : home_(&home), number_(number) {}

  parcel(parcel&& other) : home_(other.home_) {   // NOLINT(performance-noexcept-move-constructor)
    constexpr std::uint32_t golden = 0x9e3779b1;  // one in 16 of its multiples is below 2^28
    if (home_->moves.fetch_add(1) * golden < 1u << 28) throw planned_failure{};
    number_ = std::exchange(other.number_, 0);
  }

  parcel& operator=(parcel&&) = delete;

  ~parcel() {
    if (number_ == 0) return;
    ++home_->lost;
    home_->sum_lost += number_;
  }

  bool empty() const noexcept { return number_ == 0; }

  std::uint64_t take_out() noexcept { return std::exchange(number_, 0); }

private:
  depot* home_;
  std::uint64_t number_ = 0;
};

class parcel_service {
public:
  explicit parcel_service(outcome& result) : result_(result) {
    for (const std::size_t capacity : {0u, 1u, 8u}) pipes_.emplace_back(capacity);
  }

  void act(dice& random) {
    auto& pipe = pipes_[random.below(pipes_.size())];
    std::error_code ec;
    result_.count_operation();
    if (random.once_in(2)) {
      const std::uint64_t number = 1 + random.below(1'000);
      parcel mine{home_, number};
      try {
        if (random.once_in(3)) {
          pipe.try_send(std::move(mine));
        } else {
          pipe.send_for(std::move(mine), random.short_time(), ec);
        }
      } catch (const planned_failure&) {
      }
      note_sent(mine, number);
    } else {
      try {
        note_received(random.once_in(3) ? pipe.try_receive()
                                        : pipe.receive_for(random.short_time(), ec));
      } catch (const planned_failure&) {
      }
    }
  }

  co::task<> co_act(dice& random) {
    auto& pipe = pipes_[random.below(pipes_.size())];
    std::error_code ec;
    result_.count_operation();
    if (random.once_in(2)) {
      const std::uint64_t number = 1 + random.below(1'000);
      parcel mine{home_, number};
      try {
        co_await pipe.co_send_for(std::move(mine), random.short_time(), ec);
      } catch (const planned_failure&) {
      }
      note_sent(mine, number);
    } else {
      try {
        note_received(co_await pipe.co_receive_for(random.short_time(), ec));
      } catch (const planned_failure&) {
        ++home_.may_be_lost;
      }
    }
  }

  void check() {
    for (auto& each : pipes_) {
      while (each.size() != 0) {
        try {
          note_received(each.try_receive());
        } catch (const planned_failure&) {
        }
      }
    }
    result_.expect_equal("parcels received", home_.received + home_.lost, home_.sent);
    result_.expect_equal("parcels received, their sum,", home_.sum_received + home_.sum_lost,
                         home_.sum_sent);
    result_.expect(home_.lost <= home_.may_be_lost, "coroutines alone lose parcels");
  }

private:
  // A call that has thrown may have sent it: then somebody receives it.
  void note_sent(parcel& mine, std::uint64_t number) {
    if (mine.empty()) {
      ++home_.sent;
      home_.sum_sent += number;
    }
    mine.take_out();
  }

  void note_received(std::optional<parcel>&& got) {
    if (!got) return;
    ++home_.received;
    home_.sum_received += got->take_out();
  }

  outcome& result_;
  depot home_;
  std::deque<channel<parcel>> pipes_;
};

}  // namespace

void throw_in_moves(dice& random, outcome& result) {
  parcel_service service{result};
  const std::size_t operations = 100 + random.below(400);
  const unsigned workers = 1 + static_cast<unsigned>(random.below(3));
  const auto play = [&](std::uint64_t seed) {
    dice mine{seed};
    for (std::size_t i = 0; i < operations; ++i) service.act(mine);
  };
  std::vector<std::thread> threads;
  for (std::size_t i = random.below(3); i != 0; --i) threads.emplace_back(play, random.seed());
  runtime instance{{.workers = workers}};
  instance.run([&] {
    task_group players;
    for (std::size_t i = 2 + random.below(8); i != 0; --i) {
      players.spawn_anywhere([&play, seed = random.seed()] { play(seed); });
      players.spawn_anywhere([&, seed = random.seed()]() -> co::task<> {
        dice mine{seed};
        for (std::size_t k = 0; k < operations; ++k) co_await service.co_act(mine);
      });
    }
    players.join();
  });
  for (auto& each : threads) each.join();
  service.check();
}

}  // namespace weft::test::stress
