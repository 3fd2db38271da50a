// A coroutine as the main function, which would return before it runs.
#include <weft/co.hpp>
#include <weft/fiber.hpp>

weft::co::task<> serve();

void call() { weft::run(serve); }
