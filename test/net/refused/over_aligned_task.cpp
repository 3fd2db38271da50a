// A coroutine that returns what its frame cannot hold.
#include <weft/co.hpp>

struct alignas(64) vector {
  double values[8];
};

weft::co::task<vector> make() { co_return vector{}; }
