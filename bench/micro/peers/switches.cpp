// The rows of the bare switch between two contexts on one thread: weft's own, in line, and
// jump_fcontext of Boost.Context, on which Boost.Fiber stands.
//
// jump_fcontext loads what the other side had in MXCSR, its status bits included: as soon as one
// has calculated and the other has not the two differ for good. weft loads the control bits where
// they differ. So there are rows for equal values, for other status bits, and for other control
// bits.
//
// Three calls deep the returns count too: the processor predicts them from the calls that it saw
// last, which are those of the other side. Both sides call the same functions, as the fibers of a
// server mostly do, and in one row other ones, where nobody predicts.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include <benchmark/benchmark.h>
#include <boost/context/detail/fcontext.hpp>

#include "context/context.hpp"
#include "mxcsr.hpp"
#include "rows.hpp"

namespace weft::bench {
namespace {

constexpr std::size_t size = std::size_t{64} * 1024;

// A stack for the other side. No context ever ends: it is left where it is.
class other_stack {
public:
  std::byte* top() noexcept { return memory_->bytes + size; }

private:
  struct alignas(64) block {
    std::byte bytes[size];
  };

  std::unique_ptr<block> memory_ = std::make_unique<block>();
};

// So many calls, whose returns the processor predicts if all goes well, and a switch. Functions of
// another Copy do the same elsewhere.
template <int Depth, int Copy, class Switch>
[[gnu::noinline]] void go_down(Switch&& leave) {
  if constexpr (Depth == 1) {
    leave();
  } else {
    go_down<Depth - 1, Copy>(leave);
  }
  // No tail call, and no function that is one with that of another Copy.
  asm volatile("# copy %c0" : : "i"(Copy) : "memory");
}

// What both sides do: they leave again and again from that depth.
template <int Depth, int Copy, class Switch>
[[gnu::noinline]] void leave_often(Switch leave, std::uint64_t times) {
  for (std::uint64_t i = 0; i < times; ++i) {
    if constexpr (Depth == 0) {
      leave();
    } else {
      go_down<Depth, Copy>(leave);
    }
  }
}

// Calls the function above by a pointer that the compiler does not know, or it would make one of
// its own for each side.
template <int Depth, int Copy, class Switch>
void call_leave_often(Switch leave, std::uint64_t times) {
  auto* function = &leave_often<Depth, Copy, Switch>;
  benchmark::DoNotOptimize(function);
  function(leave, times);
}

constexpr std::uint64_t for_ever = UINT64_MAX;

// weft's switch.
class own_switch {
public:
  own_switch(weft::detail::machine_context& from, weft::detail::machine_context& to) noexcept
      : from_{from}, to_{to} {}

  [[gnu::always_inline]] inline void operator()() const noexcept {
    weft::detail::switch_context(from_, to_);
  }

private:
  weft::detail::machine_context& from_;
  weft::detail::machine_context& to_;
};

template <int Depth, int OtherCopy>
class own_pair {
public:
  explicit own_pair(std::uint32_t mxcsr_of_other) : mxcsr_of_other_{mxcsr_of_other} {
    running = this;
    weft::detail::read_floating_point_control(there_);
    weft::detail::start_context(there_, stack_.top(), size, &own_pair::other_side);
  }

  own_pair(const own_pair&) = delete;
  own_pair& operator=(const own_pair&) = delete;

  ~own_pair() { running = nullptr; }

  void go(std::uint64_t times) { call_leave_often<Depth, 0>(own_switch{here_, there_}, times); }

private:
  static void other_side() {
    own_pair& self = *running;
    write_mxcsr(self.mxcsr_of_other_);
    call_leave_often<Depth, OtherCopy>(own_switch{self.there_, self.here_}, for_ever);
    std::abort();
  }

  static inline constinit thread_local own_pair* running = nullptr;

  other_stack stack_;
  weft::detail::machine_context here_;
  weft::detail::machine_context there_;
  const std::uint32_t mxcsr_of_other_;
};

// Boost's.
class boost_switch {
public:
  explicit boost_switch(boost::context::detail::fcontext_t& to) noexcept : to_{to} {}

  void operator()() const noexcept {
    to_ = boost::context::detail::jump_fcontext(to_, nullptr).fctx;
  }

private:
  boost::context::detail::fcontext_t& to_;
};

template <int Depth, int OtherCopy>
class boost_pair {
public:
  explicit boost_pair(std::uint32_t mxcsr_of_other)
      : there_{boost::context::detail::make_fcontext(stack_.top(), size, &boost_pair::other_side)} {
    there_ = boost::context::detail::jump_fcontext(there_, &mxcsr_of_other).fctx;
  }

  void go(std::uint64_t times) { call_leave_often<Depth, 0>(boost_switch{there_}, times); }

private:
  static void other_side(boost::context::detail::transfer_t from) {
    write_mxcsr(*static_cast<const std::uint32_t*>(from.data));
    boost::context::detail::fcontext_t to =
        boost::context::detail::jump_fcontext(from.fctx, nullptr).fctx;
    call_leave_often<Depth, OtherCopy>(boost_switch{to}, for_ever);
    std::abort();
  }

  other_stack stack_;
  boost::context::detail::fcontext_t there_;
};

// An iteration is one way. The library of the benches calculates before each run: so this side sets
// its MXCSR after that, at each batch.
template <class Pair>
void switch_one_way(benchmark::State& state, std::uint32_t difference) {
  constexpr int batch = 4096;
  constexpr std::uint32_t status_bits = 0x3f;
  const std::uint32_t before = read_mxcsr();
  const std::uint32_t mine = before & ~status_bits;
  state.SetLabel("mxcsr " + text_of_mxcsr(mine) + " and " + text_of_mxcsr(mine | difference));
  write_mxcsr(mine);
  Pair pair{mine | difference};
  while (state.KeepRunningBatch(batch)) {
    write_mxcsr(mine);
    pair.go(batch / 2);
  }
  write_mxcsr(before);
}

template <int Depth, int OtherCopy = 0>
void add_pair(const char* row, std::uint32_t difference) {
  add(row, "weft", [difference](benchmark::State& state) {
    switch_one_way<own_pair<Depth, OtherCopy>>(state, difference);
  });
  add(row, "boost", [difference](benchmark::State& state) {
    switch_one_way<boost_pair<Depth, OtherCopy>>(state, difference);
  });
}

}  // namespace

void add_switches() {
  constexpr int other_functions = 1;
  add_pair<0>("switch_one_way_mxcsr_equal", 0);
  add_pair<0>("switch_one_way_mxcsr_of_other_status", mxcsr_inexact);
  add_pair<0>("switch_one_way_mxcsr_of_other_rounding", mxcsr_round_up);
  add_pair<3>("switch_one_way_3_calls_deep_mxcsr_equal", 0);
  add_pair<3>("switch_one_way_3_calls_deep_mxcsr_of_other_status", mxcsr_inexact);
  add_pair<3, other_functions>("switch_one_way_3_calls_deep_in_other_functions", 0);
}

}  // namespace weft::bench
