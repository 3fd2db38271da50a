// What the tests of debuggers look at: fibers and coroutines that wait in functions whose names
// they look for, and a fiber that runs. Prints "ready" and stays as it is until SIGTERM; with an
// argument it spawns and joins fibers, by the thousand, on two workers instead.
#include <atomic>
#include <cstdio>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <weft/co.hpp>
#include <weft/fiber.hpp>

namespace {

std::atomic<bool> computing{false};
std::atomic<bool> enough{false};

// Neither in line nor a tail call, so that each is a frame.
[[gnu::noinline]] void wait_for_an_order(weft::channel<int>& orders) {
  orders.receive();
  std::puts("an order came");
}

[[gnu::noinline]] void keep_the_shop(weft::channel<int>& orders) {
  wait_for_an_order(orders);
  std::puts("the shop is closed");
}

[[gnu::noinline]] void compute_on_and_on() {
  computing = true;
  while (!enough) {
  }
  std::puts("enough");
}

weft::co::task<> await_an_order(weft::channel<int>& orders) { co_await orders.co_receive(); }

weft::co::task<> keep_the_other_shop(weft::channel<int>& orders) {
  co_await await_an_order(orders);
}

void open() {
  weft::channel<int> orders;
  auto shop = weft::spawn({.name = "shop"}, [&] { keep_the_shop(orders); });
  auto nameless = weft::spawn([&] { keep_the_shop(orders); });
  auto other = weft::co::spawn({.name = "other shop"}, keep_the_other_shop(orders));
  auto sum = weft::spawn_on(1, {.name = "sum"}, compute_on_and_on);
  auto nothing = weft::spawn({.name = "nothing"}, [] {});
  nothing.join();
  while (!computing) weft::this_fiber::yield();
  std::puts("ready");
  std::fflush(stdout);
  std::error_code stopped;
  shop.join(stopped);
  enough = true;
}

void come_and_go() {
  std::error_code stopped;
  for (std::size_t i = 0; !stopped; ++i) {
    if (i == 10) {
      std::puts("ready");
      std::fflush(stdout);
    }
    weft::task_group crowd;
    for (std::size_t each = 0; each < 2'000; ++each) {
      crowd.spawn_on(each % 2, {.name = "passer-by"}, [] { weft::this_fiber::yield(); });
    }
    crowd.join(stopped);
  }
}

}  // namespace

int main(int count, char** /*arguments*/) {
  // Where only a parent may look into a process (Yama), a debugger beside it may, too.
  ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
  // The kernel calls its file "/dev/zero (deleted)".
  ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  weft::run(count == 1 ? open : come_and_go, {.workers = 2});
}
