// A generator of what its frame cannot hold.
#include <weft/co.hpp>

struct alignas(64) vector {
  double values[8];
};

weft::co::async_generator<vector> make() { co_yield vector{}; }
