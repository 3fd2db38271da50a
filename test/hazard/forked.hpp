// A child of a fork(2) in a test: what it finds wrong it tells its parent, which fails the test.
#pragma once

#include <cstdlib>
#include <exception>
#include <functional>
#include <iostream>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "support/runtime_fixture.hpp"

namespace weft::test {

/// Of tests that fork. Not under ThreadSanitizer: in the child of a process with several threads,
/// as a test with its watchdog is, libtsan ignores what orders fibers, and takes those of one
/// thread for races (ThreadIgnoreSyncBegin() in ForkChildAfter(), GCC 12).
class fork_test : public runtime_test {
protected:
  void SetUp() override {
    runtime_test::SetUp();
    if (under_tsan) GTEST_SKIP() << "libtsan cannot follow fibers in the child of a fork";
  }
};

/// Counted by both, the parent and the child.
class shared_count {
public:
  shared_count()
      : count_(static_cast<int*>(::mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE,
                                        MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}

  shared_count(const shared_count&) = delete;
  shared_count& operator=(const shared_count&) = delete;

  ~shared_count() { ::munmap(count_, sizeof(int)); }

  void add() { __atomic_fetch_add(count_, 1, __ATOMIC_RELAXED); }

  int get() const { return __atomic_load_n(count_, __ATOMIC_RELAXED); }

private:
  int* const count_;
};

/// How a child that has failed ends.
inline constexpr int child_failed = 99;

/// In a child: ends it, and the test with it, unless `holds`.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "in the child of a fork it does not hold that " << what << '\n';
  ::_exit(child_failed);
}

/// Forks; the child calls `in_child()` and then goes on where the caller does, and gets 0. The
/// child of a test that hangs is ended.
inline pid_t fork_and(const std::function<void()>& in_child) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::alarm(60);
  try {
    in_child();
  } catch (const std::exception& error) {
    std::cerr << "in the child of a fork: " << error.what() << '\n';
    ::_exit(child_failed);
  }
  return child;
}

/// Forks, has the child call `in_child()` and then end, and returns when it has; the test fails if
/// it has not ended well.
inline void expect_in_child(const std::function<void()>& in_child) {
  const pid_t child = fork_and([&] {
    in_child();
    ::_exit(EXIT_SUCCESS);
  });
  ASSERT_GT(child, 0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "as waitpid(2) gives it";
}

/// How a child ended that goes on by itself: its exit code, or the negative number of a signal.
inline int end_of(pid_t child) {
  int status = 0;
  if (::waitpid(child, &status, 0) != child) return child_failed;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace weft::test
