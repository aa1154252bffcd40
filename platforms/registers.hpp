// Loops that the front end unrolls, so that arrays of sums become registers before the optimiser looks; and what goes
// with them.
#pragma once

#include <type_traits>
#include <utility>

namespace vitrail {

/// Calls f(std::integral_constant<int, i>) for i = 0 … N − 1.
template <int N, class F>
[[gnu::always_inline]] inline void unroll(F f) {
  [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
    (f(std::integral_constant<int, i>{}), ...);
  }
  (std::make_integer_sequence<int, N>{});
}

/// sizeof(T) bytes at any address and of any type, as a T: what a broadcast loads.
template <class T>
[[gnu::always_inline]] inline T load_as(const void* src) {
  T value;
  __builtin_memcpy(&value, src, sizeof value);
  return value;
}

/// Pins a sum to a register at this point of an unrolled loop: GCC would otherwise load all operands first and spill
/// the sums.
/// VITRAIL_KEEP leaves an operand in its register until here: GCC would otherwise move the last sums into it and back.
#if defined(__x86_64__)
#define VITRAIL_IN_REGISTER(x) __asm__ volatile("" : "+v"(x))
#define VITRAIL_KEEP(x) __asm__ volatile("" : : "v"(x))
#else
#define VITRAIL_IN_REGISTER(x) __asm__ volatile("" : "+w"(x))
#define VITRAIL_KEEP(x) __asm__ volatile("" : : "w"(x))
#endif

/// A tile of its own function: inlined into a loop over blocks, GCC would also store each of its sums in memory.
#define VITRAIL_TILE [[gnu::noinline]]

/// Makes the compiler forget where a pointer comes from: a row of sums is then stored at its own address plus a
/// constant instead of at one of many addresses computed before.
template <class T>
[[gnu::always_inline]] inline T* forget(T* p) {
  __asm__("" : "+r"(p));
  return p;
}

}  // namespace vitrail
