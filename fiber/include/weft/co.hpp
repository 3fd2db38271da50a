// Coroutines on weft's scheduler: all of weft::co. The operations that a coroutine awaits have the
// prefix co_ and stand beside the blocking ones: mutex::co_lock(), socket::co_read_some().
#pragma once

#include <weft/fiber.hpp>
#include <weft/fiber/co/block_on.hpp>
#include <weft/fiber/co/generator.hpp>
#include <weft/fiber/co/sleep.hpp>
#include <weft/fiber/co/spawn.hpp>
#include <weft/fiber/co/task.hpp>
#include <weft/fiber/co/when.hpp>
#include <weft/fiber/co/with_task_group.hpp>
#include <weft/fiber/co/with_timeout.hpp>
