// The fixture of tests whose rules are the same for a fiber and a plain thread.
#pragma once

#include <thread>

#include <weft/fiber.hpp>

#include "support/runtime_fixture.hpp"

namespace weft::test {

class on_both_test : public runtime_test {
protected:
  /// Calls `body` on a fiber and on a plain thread, waiting for the end of each.
  template <class Body>
  void on_both(Body&& body) {
    run([&] { spawn(body).join(); });
    std::thread other{body};
    other.join();
  }
};

}  // namespace weft::test
