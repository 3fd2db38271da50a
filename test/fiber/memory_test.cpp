// Many fibers, and what happens when memory runs out: the spawner gets an error, nobody else is
// harmed, and memory that is no longer needed goes back.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>

#include "scheduler.hpp"
#include "stack_memory.hpp"
#include "support/runtime_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using testing::ExitedWithCode;
using weft::spawn;
using weft::test::under_asan;
using weft::test::under_tsan;
using weft::test::use_stack;
using weft::test::very_many_fibers;
using weft::this_fiber::yield;

class Memory : public weft::test::runtime_test {};

using MemoryDeath = Memory;

constexpr std::size_t mib = std::size_t{1024} * 1024;

// Field `index` of /proc/self/statm, in bytes: 0 is address space, 1 is resident.
std::size_t statm(int index) {
  std::ifstream file("/proc/self/statm");
  std::size_t pages = 0;
  for (int i = 0; i <= index; ++i) file >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// Without guards that cost no mapping so many stacks cannot each have one.
weft::runtime_options options_for_very_many() {
  const bool light = weft::detail::kernel_has_light_guards();
  return {.guard = light ? weft::stack_guard::automatic : weft::stack_guard::groups};
}

// Mappings of the process.
std::size_t mappings() {
  std::ifstream file("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(file, line);) ++count;
  return count;
}

// Parks them, wakes them, and returns how many mappings their stacks have taken.
std::size_t park_very_many() {
  const std::size_t before = mappings();
  auto gate = spawn([] { weft::this_fiber::sleep_for(24h); });
  std::vector<weft::fiber<>> fibers;
  std::size_t parked = 0;
  std::size_t woken = 0;
  for (std::size_t i = 0; i < very_many_fibers; ++i) {
    fibers.push_back(spawn([&] {
      ++parked;
      gate.join();
      ++woken;
    }));
  }
  while (parked < very_many_fibers) yield();
  const std::size_t taken = mappings() - before;
  EXPECT_EQ(weft::test::live_fibers(), very_many_fibers + 1);

  gate.request_cancel();
  for (auto& each : fibers) each.join();

  EXPECT_EQ(woken, very_many_fibers);
  return taken;
}

// 100,000 fibers, where vm.max_map_count is 65,530 unless somebody has raised it.
TEST_F(Memory, very_many_fibers_with_a_guard_each_take_next_to_no_mappings) {
  if (under_tsan) GTEST_SKIP() << "libtsan has mappings of its own for each fiber";
  if (!weft::detail::kernel_has_light_guards()) {
    GTEST_SKIP() << "the kernel has no guards without mappings (MADV_GUARD_INSTALL, Linux 6.13)";
  }
  // Where memory comes from libasan that has mappings of its own, a few dozen.
  run([] { EXPECT_LT(park_very_many(), very_many_fibers / (under_asan ? 10 : 100)); });
}

TEST_F(Memory, very_many_fibers_with_a_guard_for_each_group_take_two_mappings_a_group) {
  if (under_tsan) GTEST_SKIP() << "libtsan has mappings of its own for each fiber";
  run([] { EXPECT_LT(park_very_many(), very_many_fibers / 7); },
      {.guard = weft::stack_guard::groups});
}

TEST_F(Memory, very_many_sleeping_fibers_can_be_cancelled_at_once) {
  weft::runtime worker{options_for_very_many()};
  std::size_t cancelled = 0;

  worker.run([&] {
    for (std::size_t i = 0; i < very_many_fibers / 2; ++i) {
      spawn([&] {
        std::error_code ec;
        weft::this_fiber::sleep_for(24h, ec);
        cancelled += ec == weft::errc::cancelled ? 1 : 0;
      }).detach();
    }
    yield();
  });

  EXPECT_EQ(cancelled, very_many_fibers / 2);
}

TEST_F(Memory, fibers_that_come_and_go_need_no_more_than_those_that_are_there_at_once) {
  run([] {
    for (std::size_t i = 0; i < very_many_fibers; ++i) spawn([] { yield(); }).join();

    EXPECT_EQ(weft::detail::scheduler::running()->stacks().mapped_bytes(), 16 * mib);
  });
}

TEST_F(Memory, the_memory_of_fibers_that_have_ended_goes_back_in_time) {
  if (under_tsan) GTEST_SKIP() << "ThreadSanitizer keeps its shadow of it";
  run([] {
    const std::size_t before = statm(1);
    {
      std::vector<weft::fiber<>> fibers;
      for (int i = 0; i < 1'000; ++i) {
        fibers.push_back(spawn([] {
          use_stack(100 * 1024);
          yield();
        }));
      }
      for (auto& each : fibers) each.join();
    }
    const std::size_t most = statm(1);
    EXPECT_GT(most, before + 90 * mib);

    // Ends by the watchdog if it does not. Counted from the top, as AddressSanitizer keeps its
    // shadow of the stacks.
    while (statm(1) > most - 80 * mib) weft::this_fiber::sleep_for(10ms);
  });
}

// ---- when there is no more ---------------------------------------------------------------------

// Spawns fibers that wait for `gate` until that fails; returns how many there are.
std::size_t spawn_until_it_fails(std::vector<weft::fiber<int>>& fibers, weft::any_fiber& gate,
                                 std::error_code& ec) {
  ec.clear();
  while (!ec) {
    auto child = spawn(
        {},
        [&gate] {
          gate.join();
          return 1;
        },
        ec);
    if (!ec) fibers.push_back(std::move(child));
  }
  return fibers.size();
}

std::string message_of_failing_spawn(std::error_code& code) {
  try {
    spawn([] {}).detach();
  } catch (const std::system_error& error) {
    code = error.code();
    return error.what();
  }
  return "nothing was thrown";
}

#define WEFT_REQUIRE(condition)                                                                    \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      std::fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition);                         \
      std::_Exit(1);                                                                               \
    }                                                                                              \
  } while (false)

// What has to hold in both cases in which stacks run out; `relieve` makes room again.
template <class Relieve>
void stacks_run_out(Relieve relieve) {
  std::vector<weft::fiber<int>> fibers;
  fibers.reserve(1'000'000);
  auto gate = spawn([] { weft::this_fiber::sleep_for(24h); });
  auto bystander = spawn([] {
    for (int i = 0; i < 100; ++i) weft::this_fiber::sleep_for(1us);
    return 2;
  });
  yield();
  std::error_code ec;

  const std::size_t count = spawn_until_it_fails(fibers, gate, ec);
  WEFT_REQUIRE(ec == std::errc::not_enough_memory);
  WEFT_REQUIRE(count > 10);
  std::error_code thrown;
  const std::string message = message_of_failing_spawn(thrown);
  WEFT_REQUIRE(thrown == std::errc::not_enough_memory);
  WEFT_REQUIRE(message.find("vm.max_map_count") != std::string::npos);

  bystander.join();
  WEFT_REQUIRE(bystander.result() == 2);
  yield();  // all of them start, and wait
  fibers.pop_back();
  auto replacement = spawn([] { return 3; });  // the stack of the one that has just ended
  replacement.join();
  WEFT_REQUIRE(replacement.result() == 3);

  relieve();
  fibers.push_back(spawn([] { return 1; }));
  gate.request_cancel();
  int sum = 0;
  for (auto& each : fibers) {
    each.join();
    sum += each.result();
  }
  WEFT_REQUIRE(static_cast<std::size_t>(sum) == count);
}

TEST_F(MemoryDeath, a_spawn_for_which_there_is_no_memory_is_an_error_of_the_spawner_alone) {
  if (under_asan || under_tsan) GTEST_SKIP() << "the sanitizers need the address space";
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::runtime worker;
        worker.run([] {
          rlimit limit{};
          ::getrlimit(RLIMIT_AS, &limit);
          const rlimit narrow{statm(0) + 100 * mib, limit.rlim_max};
          WEFT_REQUIRE(::setrlimit(RLIMIT_AS, &narrow) == 0);
          stacks_run_out([&] { ::setrlimit(RLIMIT_AS, &limit); });
        });
        std::_Exit(0);
      },
      ExitedWithCode(0), "");
}

TEST_F(MemoryDeath, guards_that_need_mappings_end_at_vm_max_map_count_with_an_error) {
  if (under_asan || under_tsan) GTEST_SKIP() << "too many fibers for the sanitizers";
  std::size_t max_map_count = 0;
  std::ifstream("/proc/sys/vm/max_map_count") >> max_map_count;
  if (max_map_count > 1'000'000) GTEST_SKIP() << "vm.max_map_count is " << max_map_count;
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::runtime worker{{.guard = weft::stack_guard::page_protection}};
        worker.run([&] {
          // Takes the other mappings away first, so that the fibers need not be many thousands.
          const std::size_t to_spare = 2'000;
          const std::size_t size = (max_map_count - to_spare) * weft::detail::page_size;
          auto* const base = static_cast<std::byte*>(
              ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
          WEFT_REQUIRE(base != MAP_FAILED);
          for (std::size_t i = 0; i + 1 < max_map_count - to_spare; i += 2) {
            std::byte* const page = base + i * weft::detail::page_size;
            WEFT_REQUIRE(::mprotect(page, weft::detail::page_size, PROT_READ) == 0);
          }
          stacks_run_out([&] { ::munmap(base, size); });
        });
        std::_Exit(0);
      },
      ExitedWithCode(0), "");
}

TEST_F(MemoryDeath, a_process_that_locks_its_memory_can_spawn) {
  if (under_asan || under_tsan) GTEST_SKIP() << "the sanitizers map too much to lock it";
  EXPECT_EXIT(
      {
        enter_death_test();
        weft::runtime worker;  // before, when the kernel still offers guards without mappings
        if (::mlockall(MCL_FUTURE | MCL_ONFAULT) != 0) std::_Exit(0);  // not permitted here
        worker.run([] {
          auto child = spawn([] { return 7; });
          child.join();
          WEFT_REQUIRE(child.result() == 7);
        });
        std::_Exit(0);
      },
      ExitedWithCode(0), "");
}

}  // namespace
