// The models: small programs on the real core, whose every interleaving must keep what they check.
//
// Threads: a model is set up, and looked at in the end, by the thread that explores it.
#pragma once

#include <span>

#include "execution.hpp"

namespace weft::model {

struct model {
  const char* name;
  const char* about;
  void (*run)(execution& threads);
};

/// All of them.
std::span<const model> all_models() noexcept;

void waiter_model(execution& threads);
void wait_queue_of_threads_model(execution& threads);
void wait_queue_of_fibers_model(execution& threads);
void wait_queue_of_one_worker_model(execution& threads);
void composite_model(execution& threads);
void composite_of_one_worker_model(execution& threads);
void inbox_model(execution& threads);
void poller_model(execution& threads);
void run_end_model(execution& threads);
void mutex_model(execution& threads);
void event_model(execution& threads);
void condition_model(execution& threads);
void semaphore_model(execution& threads);
void unbuffered_channel_model(execution& threads);
void buffered_channel_model(execution& threads);
void cancel_model(execution& threads);
void cancel_and_leave_model(execution& threads);
void wait_again_of_fiber_model(execution& threads);
void wait_again_of_thread_model(execution& threads);
void wait_again_of_one_worker_model(execution& threads);
void task_group_model(execution& threads);
void fiber_end_model(execution& threads);
void fiber_end_on_another_worker_model(execution& threads);
void wait_queue_of_coroutines_model(execution& threads);
void wait_again_of_coroutine_model(execution& threads);
void mutex_of_coroutines_model(execution& threads);
void task_group_of_coroutines_model(execution& threads);
void condition_of_coroutine_model(execution& threads);
void semaphore_of_coroutines_model(execution& threads);
void channel_of_coroutines_model(execution& threads);
void descriptor_model(execution& threads);
void descriptor_of_coroutine_model(execution& threads);
void drained_descriptor_model(execution& threads);
void drained_descriptor_of_coroutine_model(execution& threads);
void reused_number_of_coroutine_model(execution& threads);
void descriptor_closed_by_thread_model(execution& threads);
void descriptor_of_coroutine_closed_by_thread_model(execution& threads);
void reused_number_model(execution& threads);
void polling_thread_model(execution& threads);
void polling_thread_and_close_model(execution& threads);
void cancel_beyond_run_model(execution& threads);
void failed_spawn_model(execution& threads);
void request_stop_model(execution& threads);

}  // namespace weft::model
