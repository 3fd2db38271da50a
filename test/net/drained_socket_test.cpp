// A socket that is watched and has been read to the last byte: the next read takes its turn and
// waits for an event under one lock. What ends such a wait, of a fiber and of a coroutine, and each
// at the same time as another.
#include <chrono>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>

#include "coroutines.hpp"
#include "net_fixture.hpp"

namespace weft::test {
namespace {

using namespace std::chrono_literals;
using net::socket;

enum class form { fiber, coroutine };

constexpr form both[] = {form::fiber, form::coroutine};

struct reading {
  std::string got;
  std::error_code ec;
};

// Reads once from `from`, both of which stay where they are.
fiber<> read_once(form how, socket& from, reading& result) {
  if (how == form::fiber) {
    return spawn([&] { result.got = read_some_text(from, 100, result.ec); });
  }
  return co::spawn(
      [&]() -> co::task<> { result.got = co_await co_read_some_text(from, 100, result.ec); });
}

// Has a reader wait for a byte, which is all that comes.
void drain(plain_pair& pair) {
  reading first;
  auto reader = read_once(form::fiber, pair.ours, first);
  one_turn();
  send_all(pair.peer, "1");
  reader.join();
  ASSERT_EQ(first.got, "1");
}

plain_pair drained_pair() {
  plain_pair result = tcp_pair();
  drain(result);
  return result;
}

class DrainedSocket : public runtime_test {
protected:
  // Runs `test(how)` for either form, in a runtime of its own.
  template <class Test>
  void in_both(Test&& test) {
    for (const form how : both) {
      SCOPED_TRACE(how == form::fiber ? "fiber" : "coroutine");
      run([&] { test(how); });
    }
  }

  // The same for each pair of forms.
  template <class Test>
  void in_all_pairs(Test&& test) {
    for (const form first : both) {
      in_both([&](form second) { test(first, second); });
    }
  }
};

TEST_F(DrainedSocket, gives_what_comes_to_one_that_waits) {
  in_both([](form how) {
    auto pair = drained_pair();
    reading result;
    auto reader = read_once(how, pair.ours, result);
    one_turn();
    EXPECT_FALSE(reader.done());

    send_all(pair.peer, "abc");
    reader.join();

    EXPECT_EQ(result.got, "abc");
    EXPECT_FALSE(result.ec);
  });
}

TEST_F(DrainedSocket, lets_one_that_is_cancelled_go_and_serves_the_next) {
  in_all_pairs([](form first, form second) {
    auto pair = drained_pair();
    reading cancelled;
    reading next;
    auto reader = read_once(first, pair.ours, cancelled);
    auto follower = read_once(second, pair.ours, next);
    one_turn();

    reader.request_cancel();
    reader.join();
    send_all(pair.peer, "for the second");
    follower.join();

    EXPECT_EQ(cancelled.got, "");
    EXPECT_EQ(cancelled.ec, errc::cancelled);
    EXPECT_EQ(next.got, "for the second");
  });
}

TEST_F(DrainedSocket, lets_one_whose_scope_expires_go) {
  in_both([](form how) {
    auto pair = drained_pair();
    reading result;
    fiber<> reader;
    if (how == form::fiber) {
      reader = spawn([&] {
        const timeout limit{1ms};
        result.got = read_some_text(pair.ours, 100, result.ec);
      });
    } else {
      reader = co::spawn([&]() -> co::task<> {
        const timeout limit{1ms};
        result.got = co_await co_read_some_text(pair.ours, 100, result.ec);
      });
    }
    reader.join();
    EXPECT_EQ(result.ec, errc::timed_out);

    send_all(pair.peer, "later");
    EXPECT_EQ(read_some_text(pair.ours), "later");
  });
}

TEST_F(DrainedSocket, that_is_closed_ends_all_waits_within_a_turn) {
  in_all_pairs([](form first, form second) {
    auto pair = drained_pair();
    reading waits;
    reading queued;
    auto reader = read_once(first, pair.ours, waits);
    auto follower = read_once(second, pair.ours, queued);
    one_turn();

    pair.ours.close();
    one_turn();
    EXPECT_TRUE(reader.done() && follower.done());
    reader.join();
    follower.join();

    EXPECT_EQ(waits.ec, errc::closed);
    EXPECT_EQ(queued.ec, errc::closed);
  });
}

TEST_F(DrainedSocket, whose_number_comes_again_leaves_the_new_one_to_its_own_reader) {
  in_both([](form how) {
    auto pair = drained_pair();
    const int number = pair.ours.native_handle();
    reading old;
    auto reader = read_once(how, pair.ours, old);
    one_turn();

    pair.ours.close();
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    ASSERT_EQ(fds[0], number) << "the lowest free number";
    socket next = socket::adopt(fds[0]);
    const unique_fd next_peer{fds[1]};
    send_all(next_peer, "for others");
    reader.join();

    EXPECT_EQ(old.ec, errc::closed);
    EXPECT_EQ(read_some_text(next), "for others");
  });
}

// One poll wakes both, `first` as the first: it was the first to be registered, and its bytes come
// first.
void wake_both(const unique_fd& first, const unique_fd& second) {
  send_all(first, "now");
  send_all(second, "abc");
}

TEST_F(DrainedSocket, keeps_its_bytes_from_one_that_was_woken_and_then_cancelled) {
  in_both([](form how) {
    auto other = drained_pair();
    auto pair = drained_pair();
    reading result;
    fiber<> reader;
    auto canceller = spawn([&] {
      read_some_text(other.ours);
      reader.request_cancel();
    });
    reader = read_once(how, pair.ours, result);
    one_turn();

    wake_both(other.peer, pair.peer);
    canceller.join();
    reader.join();

    EXPECT_EQ(result.got, "");
    EXPECT_EQ(result.ec, errc::cancelled);
    EXPECT_EQ(read_some_text(pair.ours), "abc");
  });
}

TEST_F(DrainedSocket, that_is_closed_after_a_reader_was_woken_is_what_the_reader_sees) {
  in_both([](form how) {
    auto other = drained_pair();
    auto pair = drained_pair();
    reading result;
    auto closer = spawn([&] {
      read_some_text(other.ours);
      pair.ours.close();
    });
    auto reader = read_once(how, pair.ours, result);
    one_turn();

    wake_both(other.peer, pair.peer);
    closer.join();
    reader.join();

    EXPECT_EQ(result.got, "");
    EXPECT_EQ(result.ec, errc::closed);
  });
}

TEST_F(DrainedSocket, tells_of_the_end_of_the_stream_and_of_a_reset) {
  in_both([](form how) {
    for (const bool reset : {false, true}) {
      auto pair = drained_pair();
      reading result;
      auto reader = read_once(how, pair.ours, result);
      one_turn();

      if (reset) {
        reset_by(pair.peer);
      } else {
        ::shutdown(pair.peer.get(), SHUT_WR);
      }
      reader.join();

      if (reset) {
        EXPECT_EQ(result.ec, std::errc::connection_reset);
      } else {
        EXPECT_EQ(result.ec, errc::eof);
      }
    }
  });
}

TEST_F(DrainedSocket, loses_no_ordinary_byte_around_an_urgent_one) {
  in_both([](form how) {
    auto pair = drained_pair();
    std::string all;
    while (all != "ab") {
      reading result;
      auto reader = read_once(how, pair.ours, result);
      one_turn();
      if (all.empty() && !reader.done()) {
        send_urgent(pair.peer, '!');
        one_turn();
        send_all(pair.peer, "ab");
      }
      reader.join();
      ASSERT_FALSE(result.ec);
      all += result.got;
    }
  });
}

TEST_F(DrainedSocket, that_is_closed_while_one_reads_and_one_writes_ends_both) {
  in_both([](form how) {
    auto pair = drained_pair();
    fill(pair.ours.native_handle());
    reading result;
    std::error_code write_ec;
    auto reader = read_once(how, pair.ours, result);
    auto writer =
        how == form::fiber
            ? spawn([&] { pair.ours.write("more", write_ec); })
            : co::spawn([&]() -> co::task<> { co_await pair.ours.co_write("more", write_ec); });
    one_turn();
    EXPECT_FALSE(reader.done() || writer.done());

    pair.ours.close();
    reader.join();
    writer.join();

    EXPECT_EQ(result.ec, errc::closed);
    EXPECT_EQ(write_ec, errc::closed);
  });
}

// The second run of a runtime on the same socket: it is registered with the poller of the first.
TEST_F(DrainedSocket, is_watched_anew_in_the_next_runtime) {
  for (const form how : both) {
    plain_pair pair;
    run([&] { pair = drained_pair(); });
    run([&] {
      reading result;
      auto reader = read_once(how, pair.ours, result);
      one_turn();
      send_all(pair.peer, "again");
      reader.join();

      EXPECT_EQ(result.got, "again");
    });
  }
}

TEST_F(DrainedSocket, wakes_readers_of_another_worker_which_has_a_poller_of_its_own) {
  for (const form how : both) {
    const auto on_worker_1 = [&](auto function) {
      auto running = spawn_on(1, std::move(function));
      running.join();
      running.result();
    };
    const auto test = [&] {
      auto pair = drained_pair();  // this worker polls it
      on_worker_1([] { std::ignore = drained_pair(); });
      for (const bool cancelled : {true, false}) {
        reading result;
        fiber<> reader;
        on_worker_1([&] {
          reader = read_once(how, pair.ours, result);
          one_turn();
        });
        if (cancelled) {
          reader.request_cancel();
        } else {
          send_all(pair.peer, "abc");
        }
        reader.join();

        EXPECT_EQ(result.got, cancelled ? "" : "abc");
        EXPECT_EQ(static_cast<bool>(result.ec), cancelled);
      }
    };
    run(test, {.workers = 2});
  }
}

TEST_F(DrainedSocket, is_read_by_a_plain_thread_and_then_by_a_fiber) {
  in_both([](form how) {
    auto pair = drained_pair();
    std::string got;
    event ended;
    std::thread other{[&] {
      got = read_some_text(pair.ours);
      ended.set();
    }};
    send_all(pair.peer, "to the thread");
    ended.wait();
    other.join();
    EXPECT_EQ(got, "to the thread");

    reading result;
    auto reader = read_once(how, pair.ours, result);
    one_turn();
    send_all(pair.peer, "to the task");
    reader.join();

    EXPECT_EQ(result.got, "to the task");
  });
}

TEST_F(DrainedSocket, does_not_hold_up_the_end_of_a_run) {
  for (const form first : both) {
    for (const form second : both) {
      plain_pair pair;
      reading waits;
      reading queued;
      runtime instance;
      instance.run([&] {
        pair = drained_pair();
        read_once(first, pair.ours, waits).detach();
        read_once(second, pair.ours, queued).detach();
        one_turn();
      });

      EXPECT_EQ(waits.ec, errc::cancelled);
      EXPECT_EQ(queued.ec, errc::cancelled);
    }
  }
}

}  // namespace
}  // namespace weft::test
