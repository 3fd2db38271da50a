// Tasks that return references, raced.
#include <weft/co.hpp>

weft::co::task<int&> called();

weft::co::task<> call() { co_await weft::co::when_any(called(), called()); }
