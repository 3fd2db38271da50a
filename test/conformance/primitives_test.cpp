// What every kind of task may rely on when it shares locks, conditions, counts and channels.
#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "conformance/modes.hpp"

namespace {

using namespace std::chrono_literals;
using namespace weft::test;

template <class Mode>
class Primitives : public conformance<Mode> {};

TYPED_TEST_SUITE(Primitives, modes, mode_names);

// ---- mutex -------------------------------------------------------------------------------------

TYPED_TEST(Primitives, a_mutex_is_handed_on_in_the_order_of_arrival) {
  this->run([] {
    typename TestFixture::mutex lock;
    std::vector<int> order;
    lock.lock();
    const auto take = [&](int who) {
      const std::lock_guard hold{lock};
      order.push_back(who);
    };
    typename TestFixture::task one{[&] { take(1); }};
    one.until_it_waits();
    typename TestFixture::task two{[&] { take(2); }};
    two.until_it_waits();

    lock.unlock();
    one.join();
    two.join();

    EXPECT_EQ(order, (std::vector{1, 2}));
  });
}

TYPED_TEST(Primitives, a_timed_out_lock_leaves_the_mutex_to_its_holder) {
  this->run([] {
    typename TestFixture::mutex lock;
    lock.lock();
    std::error_code ec;
    typename TestFixture::task other{[&] { EXPECT_FALSE(lock.try_lock_for(2ms, ec)); }};
    other.join();

    lock.unlock();

    EXPECT_EQ(ec, weft::errc::timed_out);
    EXPECT_TRUE(lock.try_lock());
    lock.unlock();
  });
}

TYPED_TEST(Primitives, a_cancelled_lock_hands_the_mutex_to_the_next) {
  this->run([] {
    typename TestFixture::mutex lock;
    lock.lock();
    std::error_code ec;
    bool next_had_it = false;
    typename TestFixture::task cancelled{[&] { lock.lock(ec); }};
    cancelled.until_it_waits();
    typename TestFixture::task next{[&] {
      const std::lock_guard hold{lock};
      next_had_it = true;
    }};
    next.until_it_waits();

    cancelled.request_cancel();
    cancelled.join();
    lock.unlock();
    next.join();

    EXPECT_EQ(ec, weft::errc::cancelled);
    EXPECT_TRUE(next_had_it);
  });
}

TYPED_TEST(Primitives, a_plain_lock_waits_in_a_cancelled_scope_too) {
  this->run([] {
    typename TestFixture::mutex lock;
    lock.lock();
    bool had_it = false;
    typename TestFixture::task other{[&] {
      weft::cancel_scope scope;
      scope.request_cancel();
      const std::lock_guard hold{lock};
      had_it = true;
    }};
    other.until_it_waits();
    EXPECT_FALSE(other.ended());

    lock.unlock();
    other.join();

    EXPECT_TRUE(had_it);
  });
}

TYPED_TEST(Primitives, locking_a_mutex_twice_is_an_error) {
  this->run([] {
    typename TestFixture::mutex lock;
    const std::lock_guard hold{lock};
    std::error_code ec;

    lock.lock(ec);

    EXPECT_EQ(ec, std::errc::resource_deadlock_would_occur);
  });
}

// ---- condition_variable ------------------------------------------------------------------------

TYPED_TEST(Primitives, a_notification_ends_a_condition_wait_with_the_mutex_held) {
  this->run([] {
    typename TestFixture::mutex lock;
    typename TestFixture::condition_variable changed;
    bool ready = false;
    typename TestFixture::task waiting{[&] {
      std::unique_lock hold{lock};
      changed.wait(hold, [&] { return ready; });
      EXPECT_TRUE(hold.owns_lock());
      typename TestFixture::task other{[&] { EXPECT_FALSE(lock.try_lock()); }};
      other.join();
    }};
    waiting.until_it_waits();

    {
      const std::lock_guard hold{lock};
      ready = true;
    }
    changed.notify_one();
    waiting.join();
  });
}

TYPED_TEST(Primitives, a_cancelled_condition_wait_holds_the_mutex_again) {
  this->run([] {
    typename TestFixture::mutex lock;
    typename TestFixture::condition_variable changed;
    std::error_code ec;
    typename TestFixture::task waiting{[&] {
      std::unique_lock hold{lock};
      changed.wait(hold, ec);
      EXPECT_TRUE(hold.owns_lock());
    }};
    waiting.until_it_waits();

    waiting.request_cancel();
    waiting.join();

    EXPECT_EQ(ec, weft::errc::cancelled);
    EXPECT_TRUE(lock.try_lock());
    lock.unlock();
  });
}

TYPED_TEST(Primitives, a_condition_wait_in_a_scope_that_expires_says_so) {
  this->run([] {
    typename TestFixture::mutex lock;
    typename TestFixture::condition_variable changed;
    std::unique_lock hold{lock};
    const weft::timeout limit{2ms};
    std::error_code ec;

    changed.wait(
        hold, [] { return false; }, ec);

    EXPECT_EQ(ec, weft::errc::timed_out);
    EXPECT_TRUE(hold.owns_lock());
  });
}

TYPED_TEST(Primitives, a_timed_condition_wait_ends_with_the_time) {
  this->run([] {
    typename TestFixture::mutex lock;
    typename TestFixture::condition_variable changed;
    std::unique_lock hold{lock};

    EXPECT_FALSE(changed.wait_for(hold, 2ms, [] { return false; }));
    EXPECT_TRUE(changed.wait_for(hold, -1s, [] { return true; }));
  });
}

// [thread.condition.condvar]: once all have been notified, whatever has woken them.
TYPED_TEST(Primitives, a_condition_may_go_before_those_that_were_notified) {
  this->run([] {
    for (int round = 0; round < 20; ++round) {
      typename TestFixture::mutex lock;
      auto changed = std::make_unique<typename TestFixture::condition_variable>();
      std::error_code ec;
      typename TestFixture::task waiting{[&] {
        std::unique_lock hold{lock};
        changed->wait(hold, ec);
        EXPECT_TRUE(hold.owns_lock());
      }};
      waiting.until_it_waits();

      waiting.request_cancel();
      changed->notify_all();
      TypeParam::block_in([&] { changed.reset(); });
      waiting.join();

      EXPECT_EQ(ec, weft::errc::cancelled);
    }
  });
}

// ---- semaphore, event --------------------------------------------------------------------------

TYPED_TEST(Primitives, a_release_ends_an_acquire) {
  this->run([] {
    typename TestFixture::semaphore slots{0};
    typename TestFixture::task waiting{[&] { slots.acquire(); }};
    waiting.until_it_waits();
    EXPECT_FALSE(waiting.ended());

    slots.release();
    waiting.join();

    EXPECT_EQ(slots.available(), 0u);
  });
}

TYPED_TEST(Primitives, an_acquire_that_was_given_up_takes_nothing) {
  this->run([] {
    typename TestFixture::semaphore slots{0};
    std::error_code timed_out, cancelled;
    typename TestFixture::task one{[&] { slots.try_acquire_for(2ms, timed_out); }};
    typename TestFixture::task two{[&] { slots.acquire(cancelled); }};
    two.until_it_waits();
    two.request_cancel();
    one.join();
    two.join();

    slots.release();

    EXPECT_EQ(timed_out, weft::errc::timed_out);
    EXPECT_EQ(cancelled, weft::errc::cancelled);
    EXPECT_EQ(slots.available(), 1u);
  });
}

TYPED_TEST(Primitives, an_event_wakes_all_who_wait_and_lets_later_ones_pass) {
  this->run([] {
    typename TestFixture::event happened;
    typename TestFixture::task one{[&] { happened.wait(); }};
    typename TestFixture::task two{[&] { happened.wait(); }};
    one.until_it_waits();
    two.until_it_waits();

    happened.set();
    one.join();
    two.join();

    happened.wait();
    EXPECT_TRUE(happened.is_set());
  });
}

TYPED_TEST(Primitives, a_wait_for_an_event_can_be_given_up) {
  this->run([] {
    typename TestFixture::event never;
    std::error_code ec;
    typename TestFixture::task waiting{[&] { never.wait(ec); }};
    waiting.until_it_waits();

    waiting.request_cancel();
    waiting.join();

    EXPECT_EQ(ec, weft::errc::cancelled);
    EXPECT_FALSE(never.wait_for(2ms));
  });
}

// ---- channel -----------------------------------------------------------------------------------

TYPED_TEST(Primitives, an_unbuffered_channel_hands_values_over_in_order) {
  this->run([] {
    typename TestFixture::template channel<int> numbers;
    typename TestFixture::task sender{[&] {
      for (int i = 0; i < 100; ++i) numbers.send(i);
      numbers.close();
    }};
    std::vector<int> got;

    std::error_code ec;
    while (auto next = numbers.receive(ec)) got.push_back(*next);
    sender.join();

    EXPECT_EQ(got.size(), 100u);
    EXPECT_TRUE(std::ranges::is_sorted(got));
    EXPECT_FALSE(ec);
  });
}

TYPED_TEST(Primitives, a_full_buffer_has_the_sender_wait) {
  this->run([] {
    typename TestFixture::template channel<int> numbers{2};
    typename TestFixture::task sender{[&] {
      for (int i = 0; i < 3; ++i) numbers.send(i);
    }};
    sender.until_it_waits();
    EXPECT_FALSE(sender.ended());

    EXPECT_EQ(numbers.receive(), 0);
    sender.join();

    EXPECT_EQ(numbers.receive(), 1);
    EXPECT_EQ(numbers.receive(), 2);
  });
}

TYPED_TEST(Primitives, a_cancelled_send_sends_nothing) {
  this->run([] {
    typename TestFixture::template channel<int> numbers;
    std::error_code ec;
    typename TestFixture::task sender{[&] { numbers.send(1, ec); }};
    sender.until_it_waits();

    sender.request_cancel();
    sender.join();

    EXPECT_EQ(ec, weft::errc::cancelled);
    EXPECT_EQ(numbers.try_receive(), std::nullopt);
  });
}

TYPED_TEST(Primitives, a_cancelled_receive_takes_nothing) {
  this->run([] {
    typename TestFixture::template channel<int> numbers;
    std::error_code ec;
    typename TestFixture::task receiver{[&] { numbers.receive(ec); }};
    receiver.until_it_waits();

    receiver.request_cancel();
    receiver.join();

    EXPECT_EQ(ec, weft::errc::cancelled);
    EXPECT_FALSE(numbers.try_send(1));
  });
}

TYPED_TEST(Primitives, a_close_ends_waits_on_either_side_and_may_be_repeated) {
  this->run([] {
    typename TestFixture::template channel<int> full, empty;
    std::error_code sent, received;
    std::optional<int> got = 0;
    typename TestFixture::task sender{[&] { full.send(1, sent); }};
    typename TestFixture::task receiver{[&] { got = empty.receive(received); }};
    sender.until_it_waits();
    receiver.until_it_waits();

    for (int i = 0; i < 2; ++i) {
      full.close();
      empty.close();
    }
    sender.join();
    receiver.join();

    EXPECT_EQ(sent, weft::errc::closed);
    EXPECT_FALSE(received);
    EXPECT_EQ(got, std::nullopt);
  });
}

}  // namespace
