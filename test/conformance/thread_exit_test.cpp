// What destructors may do that run at the end of a plain thread: wait, as everywhere else.
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include <weft/fiber.hpp>
#include <weft/net.hpp>

#include "net/net_fixture.hpp"

namespace {

class ThreadExit : public weft::test::runtime_test {};

// Reads from its socket as the last it does.
struct reads_at_the_end {
  std::optional<weft::net::socket> from;
  std::string* got = nullptr;

  ~reads_at_the_end() {
    if (from) *got = weft::test::text_of(from->read_some_borrowed(100));
  }
};

// Made before its thread has waited for anything, it is destroyed after what that needed.
TEST_F(ThreadExit, the_destructor_of_a_thread_local_object_waits_for_a_descriptor) {
  auto [left, right] = weft::test::weft_unix_pair();
  std::string last;
  weft::event first_done;
  std::thread thread{[&, &left = left] {
    thread_local reads_at_the_end mine;
    mine.got = &last;
    EXPECT_EQ(weft::test::text_of(left.read_some_borrowed(100)), "first");
    mine.from.emplace(std::move(left));
    first_done.set();
  }};
  right.write("first");
  first_done.wait();

  right.write("last");
  thread.join();

  EXPECT_EQ(last, "last");
}

}  // namespace
