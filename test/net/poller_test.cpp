// The poller as the driver of a worker: who waits, what wakes it, and several runtimes at once or
// one after the other.
#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <memory>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include <weft/co.hpp>

#include "buffer_pool.hpp"
#include "fd_table.hpp"
#include "net_fixture.hpp"
#include "poller.hpp"

namespace weft::test {
namespace {

using net::endpoint;
using net::socket;
using net::detail::poller;

class Poller : public runtime_test {};

TEST_F(Poller, is_installed_by_the_first_wait_and_not_before) {
  run([] {
    auto [ours, peer] = tcp_pair();
    send_all(peer, "x");
    ours.write("nobody waits");
    EXPECT_EQ(poller::if_installed(), nullptr);
    read_some_text(ours);
    auto sender = spawn([&peer = peer] { send_all(peer, "y"); });
    read_some_text(ours);

    EXPECT_NE(poller::if_installed(), nullptr);
  });
  EXPECT_EQ(poller::if_installed(), nullptr);
}

TEST_F(Poller, has_waiters_while_fibers_wait_for_descriptors) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto reader = spawn([&s = ours] { return read_some_text(s); });
    one_turn();
    ASSERT_NE(poller::if_installed(), nullptr);
    EXPECT_TRUE(poller::if_installed()->has_waiters());
    send_all(peer, "x");
    reader.join();

    EXPECT_FALSE(poller::if_installed()->has_waiters());
  });
}

TEST_F(Poller, has_no_waiters_left_after_a_cancellation_and_a_close) {
  run([] {
    auto [first, first_peer] = tcp_pair();
    auto [second, second_peer] = tcp_pair();
    auto cancelled = spawn([&s = first] {
      std::error_code ec;
      read_some_text(s, 1, ec);
    });
    auto closed = spawn([&s = second] {
      std::error_code ec;
      read_some_text(s, 1, ec);
    });
    one_turn();
    cancelled.request_cancel();
    second.close();
    cancelled.join();
    closed.join();

    EXPECT_FALSE(poller::if_installed()->has_waiters());
  });
}

TEST_F(Poller, wakes_for_descriptors_and_for_timers) {
  run([] {
    auto [ours, peer] = tcp_pair();
    auto reader = spawn([&s = ours] { return read_some_text(s); });
    one_turn();
    this_fiber::sleep_for(std::chrono::milliseconds{5});  // the poller is the one that sleeps now
    EXPECT_FALSE(reader.done());
    send_all(peer, "x");
    reader.join();

    EXPECT_EQ(reader.result(), "x");
  });
}

TEST_F(Poller, serves_more_descriptors_than_one_system_call_reports) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const rlimit former = limit;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  run([&] {
    const std::size_t connections =
        std::min<std::size_t>(700, static_cast<std::size_t>(limit.rlim_cur) / 2 - 50);
    std::vector<plain_pair> pairs;
    std::vector<fiber<std::string>> readers;
    for (std::size_t i = 0; i < connections; ++i) pairs.push_back(unix_pair());
    for (auto& each : pairs) readers.push_back(spawn([&each] { return read_text(each.ours, 2); }));
    one_turn();
    for (const char* letter : {"a", "b"}) {
      for (auto& each : pairs) send_all(each.peer, letter);
      one_turn();
    }
    for (auto& each : readers) {
      each.join();
      EXPECT_EQ(each.result(), "ab");
    }
  });
  ::setrlimit(RLIMIT_NOFILE, &former);
}

// ---- what wakes it ---------------------------------------------------------------------------

// A runtime whose only fiber waits for a byte that never comes: its worker sleeps in the poller.
template <class WhileAsleep>
void stop_a_sleeping_runtime(WhileAsleep&& stop) {
  auto [ours, peer] = tcp_pair();
  runtime worker;
  std::error_code ec;
  std::thread other{[&] { stop(worker); }};
  worker.run([&, &s = ours] { read_some_text(s, 1, ec); });
  other.join();

  EXPECT_EQ(ec, errc::cancelled);
}

TEST_F(Poller, is_woken_by_a_request_to_stop_from_another_thread) {
  for (int i = 0; i < 200; ++i) {
    stop_a_sleeping_runtime([i](runtime& worker) {
      // At different moments: before the poller is there, while it falls asleep, when it sleeps.
      for (int n = 0; n < i % 20; ++n) std::this_thread::yield();
      worker.request_stop();
    });
  }
}

std::atomic<runtime*> stopped_by_signal{nullptr};

TEST_F(Poller, is_woken_by_a_request_to_stop_from_a_signal_handler) {
  const auto former = std::signal(SIGUSR1, [](int) {
    if (runtime* const worker = stopped_by_signal.load()) worker->request_stop();
  });
  const pthread_t sleeper = ::pthread_self();
  for (int i = 0; i < 50; ++i) {
    stop_a_sleeping_runtime([&](runtime& worker) {
      stopped_by_signal = &worker;
      for (int n = 0; n < i % 20; ++n) std::this_thread::yield();
      ::pthread_kill(sleeper, SIGUSR1);
    });
    stopped_by_signal = nullptr;
  }
  std::signal(SIGUSR1, former);
}

TEST_F(Poller, is_not_disturbed_by_signals_that_are_handled_elsewhere) {
  const auto former = std::signal(SIGUSR1, [](int) {});
  const pthread_t sleeper = ::pthread_self();
  run([&] {
    auto [ours, peer] = tcp_pair();
    std::thread other{[&, &p = peer] {
      for (int i = 0; i < 100; ++i) {
        ::pthread_kill(sleeper, SIGUSR1);
        std::this_thread::yield();
      }
      send_all(p, "done");
    }};
    EXPECT_EQ(read_text(ours, 4), "done");
    other.join();
  });
  std::signal(SIGUSR1, former);
}

// ---- several runtimes ------------------------------------------------------------------------

std::string one_exchange(socket& ours, const unique_fd& peer, std::string_view text) {
  auto sender = spawn([&] { send_all(peer, text); });
  return read_text(ours, text.size());
}

TEST_F(Poller, a_socket_is_used_in_a_second_runtime_after_the_first_has_ended) {
  auto [ours, peer] = tcp_pair();
  for (int i = 0; i < 3; ++i) {
    run([&, &s = ours, &p = peer] { EXPECT_EQ(one_exchange(s, p, "again"), "again"); });
  }
}

TEST_F(Poller, a_socket_is_used_in_several_runs_of_one_runtime) {
  auto [ours, peer] = tcp_pair();
  runtime worker;
  for (int i = 0; i < 3; ++i) {
    worker.run([&, &s = ours, &p = peer] { EXPECT_EQ(one_exchange(s, p, "again"), "again"); });
  }
}

TEST_F(Poller, two_runtimes_that_both_exist_run_in_turn_on_one_thread) {
  auto [ours, peer] = tcp_pair();
  runtime first;
  runtime second;
  for (runtime* each : {&first, &second, &first, &second}) {
    each->run([&, &s = ours, &p = peer] { EXPECT_EQ(one_exchange(s, p, "mine"), "mine"); });
  }
}

TEST_F(Poller, a_runtime_that_was_destroyed_elsewhere_leaves_nothing_on_the_thread_that_ran_it) {
  auto [ours, peer] = tcp_pair();
  auto first = std::make_unique<runtime>();
  std::atomic<bool> ran{false};
  std::atomic<bool> destroyed{false};
  std::thread thread{[&, &s = ours, &p = peer] {
    first->run([&] { EXPECT_EQ(one_exchange(s, p, "one"), "one"); });
    ran = true;
    while (!destroyed) std::this_thread::yield();
    runtime second;
    second.run([&] { EXPECT_EQ(one_exchange(s, p, "two"), "two"); });
  }};
  while (!ran) std::this_thread::yield();
  first.reset();
  destroyed = true;
  thread.join();
}

TEST_F(Poller, a_socket_goes_from_one_thread_to_another_between_runs) {
  auto [ours, peer] = tcp_pair();
  for (int i = 0; i < 3; ++i) {
    std::thread{[&, &s = ours, &p = peer] {
      runtime worker;
      worker.run([&] { EXPECT_EQ(one_exchange(s, p, "on"), "on"); });
    }}.join();
  }
}

TEST_F(Poller, two_runtimes_run_on_two_threads_each_with_sockets_of_its_own) {
  constexpr int rounds = under_asan || under_tsan ? 300 : 2'000;
  const auto exchange_much = [] {
    runtime worker;
    worker.run([] {
      for (int i = 0; i < rounds; ++i) {
        auto [left, right] = i % 2 == 0 ? weft_tcp_pair() : weft_unix_pair();
        auto echo = spawn([&s = right] {
          while (const auto data = s.read_some_borrowed()) s.write(data);
        });
        left.write("there and back");
        EXPECT_EQ(read_text(left, 14), "there and back");
        left.shutdown();
        echo.join();
      }
    });
  };
  std::thread other{exchange_much};
  exchange_much();
  other.join();
}

TEST_F(Poller, two_runtimes_on_two_threads_talk_to_each_other) {
  net::listener listening{endpoint::loopback_v4(0)};
  const endpoint address = listening.local_endpoint();
  std::thread server{[&] {
    runtime worker;
    worker.run([&] {
      socket connection = listening.accept();
      while (const auto data = connection.read_some_borrowed()) connection.write(data);
    });
  }};
  run([&] {
    socket client = socket::connect(address);
    for (int i = 0; i < 100; ++i) {
      client.write("ping");
      EXPECT_EQ(read_text(client, 4), "ping");
    }
  });
  server.join();
}

// Until somebody waits to read from `fd`.
void await_reader_of(int fd) {
  net::detail::fd_record& record = *net::detail::find_record(fd);
  for (bool waits = false; !waits; std::this_thread::yield()) {
    record.lock.lock();
    waits = !record.at(net::detail::direction::read).readiness.empty();
    record.lock.unlock();
  }
}

TEST_F(Poller, a_plain_thread_waits_for_a_socket_that_goes_from_one_runtime_to_another) {
  auto [ours, peer] = unix_pair();
  run([&, &s = ours, &p = peer] { EXPECT_EQ(one_exchange(s, p, "one"), "one"); });
  std::string read;
  std::thread thread{[&, &s = ours] { read = read_some_text(s); }};
  await_reader_of(ours.native_handle());
  run([&, &s = ours, &p = peer] {
    fill(s.native_handle());
    auto writer = spawn([&] { s.write("two"); });  // parks, so this runtime registers it
    one_turn();
    std::array<char, 4096> buffer;
    while (!writer.done()) {
      (void)::recv(p.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      this_fiber::yield();
    }
  });
  send_all(peer, "three");
  thread.join();

  EXPECT_EQ(read, "three");
}

void wait_in_two_runtimes() {
  auto [ours, peer] = unix_pair();
  std::thread other{[&s = ours] { weft::run([&] { read_some_text(s); }); }};
  await_reader_of(ours.native_handle());
  fill(ours.native_handle());
  weft::run([&s = ours] { s.write("more"); });
  other.join();
}

void wait_in_coroutines_of_two_runtimes() {
  auto [ours, peer] = unix_pair();
  const auto read = [&s = ours]() -> co::task<> {
    std::array<std::byte, 1> buffer;
    co_await s.co_read(buffer);
  };
  const auto write = [&s = ours]() -> co::task<> { co_await s.co_write("more"); };
  std::thread other{[&] { weft::run([&] { co::block_on(read()); }); }};
  await_reader_of(ours.native_handle());
  fill(ours.native_handle());
  weft::run([&] { co::block_on(write()); });
  other.join();
}

using PollerDeath = Poller;

TEST_F(PollerDeath, two_runtimes_that_wait_for_one_socket_at_once_end_the_process) {
  for (const auto wait : {&wait_in_two_runtimes, &wait_in_coroutines_of_two_runtimes}) {
    EXPECT_EXIT(
        {
          enter_death_test();
          wait();
        },
        ::testing::KilledBySignal(SIGABRT), "two runtimes wait for descriptor [0-9]+ at once");
  }
}

TEST_F(Poller, a_lease_outlives_the_poller_and_its_other_buffers) {
  std::vector<net::borrowed_bytes> kept;
  run([&] {
    auto [ours, peer] = unix_pair();
    send_all(peer, pattern(40));
    for (int i = 0; i < 40; ++i) kept.push_back(ours.read_some_borrowed(1));
    kept.resize(3);
  });

  for (std::size_t i = 0; i < kept.size(); ++i) EXPECT_EQ(kept[i].text(), pattern(40).substr(i, 1));
}

TEST_F(Poller, has_an_id_of_its_own_however_many_runtimes_there_have_been) {
  for (const std::uint64_t runtime :
       {std::uint64_t{1}, std::uint64_t{1} << 22, std::uint64_t{1} << 32, std::uint64_t{1} << 50}) {
    EXPECT_NE(poller::id_of({runtime, 0}), 0u);
    EXPECT_NE(poller::id_of({runtime, 0}), poller::id_of({runtime + 1, 0}));
    EXPECT_NE(poller::id_of({runtime, 0}), poller::id_of({runtime, 1}));
    EXPECT_NE(poller::id_of({runtime + (1 << 22), 0}), poller::id_of({runtime, 0}));
  }
  EXPECT_EQ(sizeof(weft::detail::take_runtime_number()), sizeof(std::uint64_t));
}

// ---- sockets without a runtime ---------------------------------------------------------------

TEST_F(Poller, sockets_are_opened_looked_at_and_closed_without_a_runtime) {
  net::listener listening{endpoint::loopback_v4(0)};
  const net::datagram_socket datagrams{endpoint::loopback_v4(0)};
  auto [ours, peer] = tcp_pair();
  EXPECT_NE(listening.local_endpoint().port(), 0);
  ours.set_no_delay(true);
  EXPECT_TRUE(ours.remote_endpoint().is_loopback());
  ours.shutdown();
  EXPECT_EQ(recv_until_end(peer), "");
  ours = socket::adopt(ours.release());
  ours.close();
  listening.close();
}

TEST_F(Poller, sockets_outlive_the_runtime_that_used_them) {
  auto pair = std::make_unique<socket_pair>(weft_tcp_pair());
  run([&] {
    auto sender = spawn([&] { pair->right.write("x"); });
    EXPECT_EQ(read_some_text(pair->left), "x");
  });
  pair.reset();
}

TEST_F(Poller, runs_out_of_descriptors_with_an_error) {
  run([] {
    auto [ours, peer] = tcp_pair();
    std::error_code of_read;
    std::error_code of_borrowed_read;
    no_more_descriptors limit;
    read_some_text(ours, 1, of_read);
    const bool nothing = ours.read_some_borrowed(1, of_borrowed_read).empty();
    limit.end();

    EXPECT_EQ(of_read, std::errc::too_many_files_open);
    EXPECT_TRUE(nothing);
    EXPECT_EQ(of_borrowed_read, std::errc::too_many_files_open);
  });
}

// ---- the last user of a number -----------------------------------------------------------------

namespace detail = weft::net::detail;

// Returns whether an operation that is in a system call when its descriptor goes has to close it.
bool last_user_closes(weft::net::detail::record_state if_used) {
  const unique_fd number{::dup(STDERR_FILENO)};
  std::error_code ec;
  detail::fd_record& record = *detail::open_record(number.get(), false, ec);
  const auto generation = record.generation.load();
  record.add_busy(detail::direction::read);

  EXPECT_EQ(detail::retire_record(record, generation, if_used), detail::retired::still_in_use);
  const bool closes = detail::end_turn(record, detail::direction::read, generation);

  EXPECT_EQ(record.state(), detail::record_state::free);
  return closes;
}

TEST_F(Poller, the_last_operation_on_a_closed_descriptor_closes_its_number) {
  EXPECT_TRUE(last_user_closes(weft::net::detail::record_state::closing));
}

TEST_F(Poller, the_last_operation_on_a_released_descriptor_leaves_its_number_alone) {
  EXPECT_FALSE(last_user_closes(weft::net::detail::record_state::released));
}

TEST_F(Poller, a_record_that_is_another_descriptors_by_now_is_not_retired) {
  const unique_fd number{::dup(STDERR_FILENO)};
  std::error_code ec;
  detail::fd_record& record = *detail::open_record(number.get(), false, ec);
  const auto old = record.generation.load();
  ASSERT_EQ(detail::open_record(number.get(), false, ec), &record);

  EXPECT_EQ(detail::retire_record(record, old), detail::retired::not_at_all);
  EXPECT_FALSE(poller::unwatch(number.get(), record, old));
  EXPECT_EQ(record.state(), detail::record_state::open);
  EXPECT_EQ(detail::retire_record(record, old + 1), detail::retired::unused);
}

// ---- the pool of buffers ---------------------------------------------------------------------

TEST(BufferPool, keeps_a_few_free_buffers_and_lends_the_last_one_first) {
  net::detail::buffer_pool* const pool = net::detail::buffer_pool::create();
  std::vector<net::detail::io_buffer*> lent;
  for (int i = 0; i < 100; ++i) lent.push_back(pool->lend());
  for (auto* each : lent) pool->take_back(*each);

  // Sixteen are kept, those that came back first; the others were given back to the system.
  for (int i = 15; i >= 0; --i) EXPECT_EQ(pool->lend(), lent[static_cast<std::size_t>(i)]);
  for (int i = 0; i < 16; ++i) pool->take_back(*lent[static_cast<std::size_t>(i)]);
  pool->abandon();
}

TEST(BufferPool, goes_with_the_last_buffer_that_comes_back) {
  net::detail::buffer_pool* const pool = net::detail::buffer_pool::create();
  auto* const first = pool->lend();
  auto* const second = pool->lend();
  pool->take_back(*first);
  pool->abandon();
  pool->take_back(*second);  // a leak checker sees whether the pool has gone
}

}  // namespace
}  // namespace weft::test
