// Echo, the classic way, tuned: a blocking thread for each connection, on small stacks, which
// serves another one when that has ended.
#include <condition_variable>
#include <mutex>
#include <vector>

#include "thread_echo.hpp"

namespace {

constexpr const char* program = "echo-thread-pool";

// Threads whose connection has ended, and the connections that they are given.
class idle_threads {
public:
  // Gives `fd` to one of them. Returns false when none waits.
  bool take(int fd) {
    const std::lock_guard hold{mutex_};
    if (given_.size() == waiting_) return false;
    given_.push_back(fd);
    work_.notify_one();
    return true;
  }

  // Waits for the next connection of this thread, without end.
  int wait() {
    std::unique_lock hold{mutex_};
    ++waiting_;
    work_.wait(hold, [this] { return !given_.empty(); });
    --waiting_;
    const int fd = given_.back();
    given_.pop_back();
    return fd;
  }

private:
  std::mutex mutex_;
  std::condition_variable work_;
  std::size_t waiting_ = 0;
  std::vector<int> given_;  // to threads that have not come for it yet
};

idle_threads idle;

void serve_one_after_another(int fd) {
  for (;;) {
    echo(fd);
    fd = idle.wait();
  }
}

void start(int fd) {
  if (!idle.take(fd)) start_thread(program, serve_one_after_another, fd);
}

}  // namespace

int main(int argc, char** argv) {
  return run_server(program, "TCP echo server with threads that serve one connection after another",
                    start, argc, argv);
}
