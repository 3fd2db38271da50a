#include "models.hpp"

#include <array>

namespace weft::model {
namespace {

constexpr std::array models{
    model{"waiter", "one waiter, claims from two threads and by its own deadline", waiter_model},
    model{"wait_queue_of_threads", "wake_one() against deadlines; then a wait of another kind",
          wait_queue_of_threads_model},
    model{"wait_queue_of_fibers", "the same, of fibers on two workers", wait_queue_of_fibers_model},
    model{"wait_queue_of_one_worker", "the same, and woken by another fiber of that worker too",
          wait_queue_of_one_worker_model},
    model{"composite", "a thread and a fiber wait in two lists each", composite_model},
    model{"composite_of_one_worker",
          "a fiber in two lists, woken by its own worker and by a thread",
          composite_of_one_worker_model},
    model{"inbox", "two threads wake a worker that goes to sleep on its futex", inbox_model},
    model{"poller", "two threads wake a worker that goes to sleep in epoll_wait(2)", poller_model},
    model{"run_end", "a thread posts a fiber while the run of two workers ends", run_end_model},
    model{"mutex", "two threads, one with a deadline, and a fiber", mutex_model},
    model{"condition", "a fiber waits with a deadline, a thread notifies", condition_model},
    model{"semaphore", "counts given while a wait for one times out", semaphore_model},
    model{"unbuffered_channel", "two senders and two receivers, deadlines and close",
          unbuffered_channel_model},
    model{"buffered_channel", "the same with room for one value", buffered_channel_model},
    model{"cancel", "a wait that may happen, time out and be cancelled", cancel_model},
    model{"cancel_and_leave", "a scope is left, and its memory goes, as soon as it is cancelled",
          cancel_and_leave_model},
    model{"wait_again_of_fiber", "a fiber is woken, and cancelled before it waits again",
          wait_again_of_fiber_model},
    model{"wait_again_of_thread", "the same, of a plain thread", wait_again_of_thread_model},
    model{"wait_again_of_one_worker",
          "the same, of two fibers: their worker cancels one and wakes the other",
          wait_again_of_one_worker_model},
    model{"task_group", "its owner leaves while a fiber joins it and a thread cancels it",
          task_group_model},
    model{"fiber_end", "a fiber ends while it is joined, not for long, and its handle goes",
          fiber_end_model},
    model{"fiber_end_on_another_worker", "the same, of fibers that join one of another worker",
          fiber_end_on_another_worker_model},
    model{"wait_queue_of_coroutines", "wake_one() against deadlines of two coroutines",
          wait_queue_of_coroutines_model},
    model{"wait_again_of_coroutine", "a coroutine is woken, and cancelled before it waits again",
          wait_again_of_coroutine_model},
    model{"condition_of_coroutine", "a coroutine waits with a deadline, a thread notifies",
          condition_of_coroutine_model},
    model{"semaphore_of_coroutines", "counts given while a coroutine's wait for one times out",
          semaphore_of_coroutines_model},
    model{"channel_of_coroutines", "a coroutine sends to another and to a thread, and closes",
          channel_of_coroutines_model},
    model{"descriptor", "two workers read a stream that is closed; its number comes again",
          descriptor_model},
    model{"descriptor_of_coroutine", "the same, of which a coroutine is one reader",
          descriptor_of_coroutine_model},
    model{"drained_descriptor", "a reader waits for each event of a stream that it drains",
          drained_descriptor_model},
    model{"drained_descriptor_of_coroutine", "the same, of a coroutine",
          drained_descriptor_of_coroutine_model},
    model{"reused_number_of_coroutine", "a number comes again while a coroutine reads the old one",
          reused_number_of_coroutine_model},
    model{"descriptor_closed_by_thread", "a plain thread closes it while two workers read",
          descriptor_closed_by_thread_model},
    model{"descriptor_of_coroutine_closed_by_thread",
          "the same, of which a coroutine is one reader",
          descriptor_of_coroutine_closed_by_thread_model},
    model{"reused_number", "a number comes again while the old stream still has events",
          reused_number_model},
};

}  // namespace

std::span<const model> all_models() noexcept { return models; }

}  // namespace weft::model
