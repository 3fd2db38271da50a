// An asynchronous generator of references.
#include <weft/co.hpp>

weft::co::async_generator<int&> called(int& given) { co_yield given; }
