#include "task_extras.hpp"

#include <climits>
#include <new>
#include <string>
#include <utility>

#include <weft/fiber/detail/worker.hpp>
#include <weft/fiber/diagnostics.hpp>
#include <weft/fiber/this_fiber.hpp>

namespace weft::detail {
namespace {

// Relaxed: only the values need to differ.
atomic<std::uint64_t> last_key{0};

void add_reference(context_node& node) noexcept {
  node.references.fetch_add(1, std::memory_order_relaxed);
}

void release(context_node* node) noexcept {
  while (node != nullptr && node->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    context_node* const outer = node->outer;
    delete node;
    node = outer;
  }
}

std::string name_of_this_task() {
  const std::string name = this_fiber::name();
  return name.empty() ? "a thread" : "fiber \"" + name + '"';
}

// A destructor may make locals again; as with pthread_key_create(3), so many rounds of them are
// destroyed.
void destroy_locals(task_extras& mine) noexcept {
  unsigned left = 0;
  while (mine.locals != nullptr) {
    local_node* const newest = std::exchange(mine.locals, mine.locals->older);
    if (newest->round == PTHREAD_DESTRUCTOR_ITERATIONS) {
      ++left;
      continue;
    }
    mine.round = newest->round + 1;
    delete newest;
  }
  mine.round = 0;
  if (left == 0) return;
  diagnose(name_of_this_task() + " has ended and leaves " + std::to_string(left) +
           " fiber_local value(s) undestroyed, which destructors of others made again and again");
}

void end_extras_of_thread(void* /*unused*/) noexcept { end_extras(extras_of_thread); }

}  // namespace

constinit thread_local task_extras* extras_of_thread = nullptr;

std::uint64_t new_task_key() noexcept {
  return last_key.fetch_add(1, std::memory_order_relaxed) + 1;
}

task_extras& require_extras() {
  task_extras*& mine = extras_of_this_task();
  if (mine == nullptr) {
    mine = new task_extras;
    // Not by a thread_local object: other destructors of the thread may need extras after its own.
    if (&mine == &extras_of_thread) {
      at_thread_exit(&end_extras_of_thread, nullptr);
    }
  }
  return *mine;
}

void end_extras(task_extras*& extras) noexcept {
  destroy_locals(*extras);
  release(std::exchange(extras->bound, nullptr));
  destroy_locals(*extras);  // made by destructors of bound values
  delete std::exchange(extras, nullptr);
}

bool share_bindings(control_block& block, const task_extras& from) noexcept {
  if (from.bound == nullptr) return true;
  block.extras = new (std::nothrow) task_extras;
  if (block.extras == nullptr) return false;
  add_reference(*from.bound);
  block.extras->bound = from.bound;
  return true;
}

// ---- context values ----------------------------------------------------------------------------

const context_node* find_bound(std::uint64_t key) noexcept {
  const task_extras* const mine = extras_of_this_task();
  if (mine == nullptr) return nullptr;
  const context_node* each = mine->bound;
  while (each != nullptr && each->key != key) each = each->outer;
  return each;
}

context_node& bind(std::unique_ptr<context_node> node) {
  task_extras& mine = require_extras();
  node->outer = mine.bound;
  mine.bound = node.release();
  return *mine.bound;
}

void unbind(const context_node& node) noexcept {
  task_extras* const mine = extras_of_this_task();
  if (mine == nullptr || mine->bound != &node) {
    misuse("a context binding was left by another task, or before one inside it");
  }
  context_node* const innermost = std::exchange(mine->bound, node.outer);
  if (mine->bound != nullptr) add_reference(*mine->bound);
  release(innermost);
}

// ---- fiber locals ------------------------------------------------------------------------------

local_node* find_local(std::uint64_t key) noexcept {
  task_extras* const mine = extras_of_this_task();
  if (mine == nullptr) return nullptr;
  local_node* each = mine->locals;
  while (each != nullptr && each->key != key) each = each->older;
  return each;
}

void add_local(std::unique_ptr<local_node> node) {
  task_extras& mine = require_extras();
  node->older = mine.locals;
  node->round = mine.round;
  mine.locals = node.release();
}

std::unique_ptr<local_node> take_local(std::uint64_t key) noexcept {
  task_extras* const mine = extras_of_this_task();
  if (mine == nullptr) return nullptr;
  for (local_node** link = &mine->locals; *link != nullptr; link = &(*link)->older) {
    if ((*link)->key != key) continue;
    return std::unique_ptr<local_node>{std::exchange(*link, (*link)->older)};
  }
  return nullptr;
}

}  // namespace weft::detail
