// Sockets that another worker or a plain thread closes while tasks wait on them, and datagrams that
// tasks of several workers share. (On one worker: close_test and sharing_test of test/net.)
#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include <weft/co.hpp>
#include <weft/net.hpp>

#include "hazard/waits.hpp"

namespace {

using namespace weft::test;
using weft::errc;
using weft::spawn_on;
using weft::net::datagram_socket;
using weft::this_fiber::yield;

constexpr unsigned workers = 2;

// ---- close -------------------------------------------------------------------------------------

enum class closed_by { other_worker, plain_thread };

using Case = std::tuple<kind_of_wait, half, closed_by>;

class CloseAcross : public runtime_test, public testing::WithParamInterface<Case> {};

std::vector<kind_of_wait> waits_for_sockets() {
  std::vector<kind_of_wait> found;
  for (const kind_of_wait& each : all_kinds_of_wait) {
    if (each.is_of_socket) found.push_back(each);
  }
  return found;
}

std::string name_of_case(const testing::TestParamInfo<Case>& info) {
  return std::string{std::get<0>(info.param).name} + "_of_" + name_of(std::get<1>(info.param)) +
         (std::get<2>(info.param) == closed_by::plain_thread ? "_by_thread" : "_by_worker");
}

INSTANTIATE_TEST_SUITE_P(
    Sockets, CloseAcross,
    testing::Combine(testing::ValuesIn(waits_for_sockets()), testing::ValuesIn(both_halves),
                     testing::Values(closed_by::other_worker, closed_by::plain_thread)),
    name_of_case);

std::error_code code_of(const std::exception_ptr& failure) {
  return failure ? code_thrown_by([&] { std::rethrow_exception(failure); }) : std::error_code{};
}

TEST_P(CloseAcross, ends_the_wait_of_each_kind) {
  run(
      [] {
        const auto& [kind, which, closer] = GetParam();
        for (int round = 0; round < 100; ++round) {
          awaited_things all;
          std::atomic<int> started = 0;
          std::vector<weft::fiber<>> waiting;
          for (int i = 0; i < 3; ++i) {
            // Both workers wait: one has the descriptor registered, the other is woken by it.
            const unsigned worker = static_cast<unsigned>(i) % workers;
            if (which == half::coroutines) {
              waiting.push_back(weft::co::spawn_on(worker, [&]() -> weft::co::task<> {
                ++started;
                co_await kind.co_wait(all);
              }));
            } else {
              waiting.push_back(spawn_on(worker, [&] {
                ++started;
                kind.wait(all);
              }));
            }
          }
          // At once, or when all have come to wait.
          while (started < round % 4) yield();
          if (closer == closed_by::plain_thread) {
            std::thread{[&] { all.close_sockets(); }}.join();
          } else {
            spawn_on(1, [&] { all.close_sockets(); }).join();
          }
          for (auto& each : waiting) {
            each.join();
            EXPECT_EQ(code_of(each.exception()), errc::closed);
          }
        }
      },
      {.workers = workers});
}

// ---- datagrams ---------------------------------------------------------------------------------

struct datagram_pair {
  datagram_socket left;
  datagram_socket right;
};

// Of UNIX: what is sent arrives.
datagram_pair connected_datagrams() {
  std::array<int, 2> fds{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds.data()), 0);
  return {datagram_socket::adopt(fds[0]), datagram_socket::adopt(fds[1])};
}

std::string receive_text(datagram_socket& from) {
  std::array<std::byte, 32> buffer;
  return text_of(std::span{buffer}.first(from.receive(buffer)));
}

weft::co::task<std::string> co_receive_text(datagram_socket& from) {
  std::array<std::byte, 32> buffer;
  const std::size_t size = co_await from.co_receive(buffer);
  co_return text_of(std::span{buffer}.first(size));
}

class SharedDatagrams : public runtime_test {};

constexpr int readers = 8;
constexpr int writers = 4;
constexpr int each_writes = under_asan || under_tsan ? 500 : 5'000;
constexpr int each_reads = each_writes * writers / readers;

// Fibers and coroutines of both workers read from one socket and write to one.
TEST_F(SharedDatagrams, of_readers_and_writers_on_all_workers_go_to_one_reader_each) {
  run(
      [] {
        auto [left, right] = connected_datagrams();
        std::vector<weft::fiber<std::vector<std::string>>> reading;
        std::vector<weft::fiber<>> writing;
        for (int i = 0; i < readers; ++i) {
          const unsigned worker = static_cast<unsigned>(i) % workers;
          if (i % 4 < 2) {
            reading.push_back(spawn_on(worker, [&from = right] {
              std::vector<std::string> got;
              for (int n = 0; n < each_reads; ++n) got.push_back(receive_text(from));
              return got;
            }));
          } else {
            reading.push_back(weft::co::spawn_on(
                worker, [&from = right]() -> weft::co::task<std::vector<std::string>> {
                  std::vector<std::string> got;
                  for (int n = 0; n < each_reads; ++n)
                    got.push_back(co_await co_receive_text(from));
                  co_return got;
                }));
          }
        }
        for (int i = 0; i < writers; ++i) {
          writing.push_back(spawn_on(static_cast<unsigned>(i) % workers, [&to = left, i] {
            for (int n = 0; n < each_writes; ++n) {
              to.send(bytes_of(std::to_string(i) + "/" + std::to_string(n)));
            }
          }));
        }
        std::map<std::string, int> times;
        for (auto& each : reading) {
          each.join();
          for (const std::string& text : each.result()) ++times[text];
        }
        for (auto& each : writing) {
          each.join();
          each.result();
        }

        EXPECT_EQ(times.size(), std::size_t{each_writes} * writers);
        for (const auto& [text, count] : times) EXPECT_EQ(count, 1) << text;
      },
      {.workers = workers});
}

TEST_F(SharedDatagrams, go_to_the_readers_in_the_order_in_which_they_came) {
  run([] {
    auto [left, right] = connected_datagrams();
    for (int round = 0; round < 20; ++round) {
      std::vector<weft::fiber<std::string>> reading;
      for (int i = 0; i < readers; ++i) {
        if (i % 2 == 0) {
          reading.push_back(weft::spawn([&from = right] { return receive_text(from); }));
        } else {
          reading.push_back(weft::co::spawn([&from = right] { return co_receive_text(from); }));
        }
        one_turn();
      }
      for (int i = 0; i < readers; ++i) left.send(bytes_of(std::to_string(i)));
      for (int i = 0; i < readers; ++i) {
        reading[static_cast<std::size_t>(i)].join();
        EXPECT_EQ(reading[static_cast<std::size_t>(i)].result(), std::to_string(i));
      }
    }
  });
}

}  // namespace
