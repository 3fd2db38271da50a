// A task that is never awaited.
#include <weft/co.hpp>

weft::co::task<> called();

void call() { called(); }
