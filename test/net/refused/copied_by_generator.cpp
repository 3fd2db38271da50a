// A generator of references is given what must not change, of which it would yield a copy.
#include <weft/co.hpp>

weft::co::generator<int&> make(const int& constant) { co_yield constant; }
