// The system calls of net/ under the eyes of a test: counted, and changed on request.
//
// The linker sends the calls of the whole executable here (--wrap), also those of the test itself.
// Threads: the one of the test.
#pragma once

#include <cstddef>
#include <functional>
#include <sys/types.h>

#include "support/runtime_fixture.hpp"

namespace weft::test {

struct system_call_watch {
  std::size_t recv_calls = 0;
  std::size_t send_calls = 0;
  std::size_t sendto_calls = 0;
  std::size_t accept4_calls = 0;

  /// The most that one recv(2) is given room for and one send(2) is given; 0 for no limit.
  std::size_t at_most = 0;
  /// Called after a recv(2) with what it returned; may do what a peer does at that moment.
  std::function<void(ssize_t result)> after_recv;
  /// The limit on the numbers of descriptors while an accept4(2) is made; 0 for that of the
  /// process.
  int accept4_descriptor_limit = 0;
  /// Called before an accept4(2); an errno that it returns takes the place of the call.
  std::function<int()> instead_of_accept4;
  /// Whether a getsockopt(2) says that the kernel does TLS on TCP.
  bool upper_protocol = false;
};

/// What is watched.
system_call_watch& system_calls();

/// The fixture of tests that watch: each begins and ends with calls that are as they were.
class watched_calls_test : public runtime_test {
protected:
  void SetUp() override {
    runtime_test::SetUp();
    system_calls() = {};
  }

  void TearDown() override {
    system_calls() = {};
    runtime_test::TearDown();
  }
};

}  // namespace weft::test
