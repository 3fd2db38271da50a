// fork(2) beside the diagnostics sink, which is the program's and may take its time: no fork waits
// for it, and the child can use it.
#include <chrono>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <utility>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "hazard/forked.hpp"

namespace {

using namespace std::chrono_literals;
using weft::spawn;
using weft::test::end_of;
using weft::test::expect_in_child;
using weft::test::shared_count;
using weft::this_fiber::yield;

class ForkSink : public weft::test::fork_test {};

// The lock of the sink is never left to a thread that the child does not have.
TEST_F(ForkSink, while_another_thread_is_in_the_diagnostics_sink_leaves_it_to_the_child) {
  constexpr int rounds = 20;
  bool stop = false;
  int told = 0;  // guarded by the sink's lock
  auto former = weft::set_diagnostics_sink([&told](std::string_view) {
    ++told;
    std::this_thread::sleep_for(1ms);
  });
  std::thread talker([&stop] {
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) weft::diagnose("busy");
  });
  run([] {
    for (int i = 0; i < rounds; ++i) expect_in_child([] { weft::diagnose("in the child"); });
  });
  __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
  talker.join();
  weft::set_diagnostics_sink(std::move(former));
  EXPECT_GT(told, 0);
}

// A fork waits for no sink, however long that takes.
TEST_F(ForkSink, while_another_thread_is_stuck_in_the_diagnostics_sink_goes_on) {
  bool is_in_sink = false;
  bool may_go = false;
  auto former = weft::set_diagnostics_sink([&](std::string_view) {
    __atomic_store_n(&is_in_sink, true, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&may_go, __ATOMIC_ACQUIRE)) std::this_thread::sleep_for(1ms);
  });
  std::thread stuck([] { weft::diagnose("stuck"); });
  while (!__atomic_load_n(&is_in_sink, __ATOMIC_ACQUIRE)) std::this_thread::yield();

  run([&] {
    expect_in_child([&] {
      may_go = true;
      weft::diagnose("in the child");
      weft::set_diagnostics_sink({});
    });
  });

  __atomic_store_n(&may_go, true, __ATOMIC_RELEASE);
  stuck.join();
  weft::set_diagnostics_sink(std::move(former));
}

TEST_F(ForkSink, of_two_threads_one_of_them_in_the_diagnostics_sink_goes_on) {
  constexpr int rounds = 100;
  auto former = weft::set_diagnostics_sink([](std::string_view) { expect_in_child([] {}); });
  bool both_are_there = false;
  std::thread talker([&both_are_there] {
    __atomic_store_n(&both_are_there, true, __ATOMIC_RELEASE);
    for (int i = 0; i < rounds; ++i) weft::diagnose("forks");
  });
  while (!__atomic_load_n(&both_are_there, __ATOMIC_ACQUIRE)) std::this_thread::yield();
  for (int i = 0; i < rounds; ++i) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    EXPECT_EQ(end_of(child), 0);
  }
  talker.join();
  weft::set_diagnostics_sink(std::move(former));
}

// What the sink does may need any of weft's other locks.
TEST_F(ForkSink, while_a_fiber_fails_in_the_diagnostics_sink_goes_on) {
  constexpr int rounds = 50;
  auto handler = weft::set_unhandled_error_handler([](const weft::unhandled_error&) {});
  auto former = weft::set_diagnostics_sink([](std::string_view) {
    weft::runtime inner;
    inner.run([] {
      spawn([] { throw std::runtime_error("in the sink"); }).detach();
      yield();
    });
    weft::set_unhandled_error_handler([](const weft::unhandled_error&) {});
  });
  bool both_are_there = false;
  std::thread talker([&both_are_there] {
    __atomic_store_n(&both_are_there, true, __ATOMIC_RELEASE);
    for (int i = 0; i < rounds; ++i) weft::diagnose("fails");
  });
  while (!__atomic_load_n(&both_are_there, __ATOMIC_ACQUIRE)) std::this_thread::yield();
  for (int i = 0; i < rounds; ++i) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    EXPECT_EQ(end_of(child), 0);
  }
  talker.join();
  weft::set_diagnostics_sink(std::move(former));
  weft::set_unhandled_error_handler(std::move(handler));
}

TEST_F(ForkSink, in_the_diagnostics_sink_leaves_the_child_in_it) {
  shared_count lines;
  auto former = weft::set_diagnostics_sink([&](std::string_view) {
    lines.add();
    expect_in_child([] { weft::diagnose("said by the sink of the child, so written to stderr"); });
  });
  run([] {
    weft::diagnose("forks");
    weft::diagnose("forks again");
  });
  weft::set_diagnostics_sink(std::move(former));
  EXPECT_EQ(lines.get(), 2);
}

}  // namespace
