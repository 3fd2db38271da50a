// Who is told when fibers it has spawned start, fail and end. Not for users.
//
// A fiber knows its owner from spawn_place::group on.
#pragma once

namespace weft::detail {

struct control_block;

class fiber_owner {
public:
  fiber_owner(const fiber_owner&) = delete;
  fiber_owner& operator=(const fiber_owner&) = delete;

  // By the spawner, which may wait before it comes to the next step: start() or remove().
  virtual void add(control_block& block) noexcept = 0;
  // By the spawner, with all that the fiber needs to run, before anybody else knows of it.
  virtual void start(control_block& block) noexcept = 0;
  // By the fiber, once its function was left by an exception that is no cancellation.
  virtual void on_failure(control_block& block) noexcept = 0;
  // By the worker of the fiber, which has ended, or by the spawner if it could not start; neither
  // touches the owner afterwards.
  virtual void remove(control_block& block) noexcept = 0;
  // In the child of a fork, for a fiber that is not there. (Who held the lock may not be, either.)
  virtual void remove_vanished(control_block& block) noexcept = 0;

protected:
  fiber_owner() = default;
  ~fiber_owner() = default;
};

}  // namespace weft::detail
