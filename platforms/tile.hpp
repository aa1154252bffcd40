// What all tiles do the same way: rows and registers in blocks whose size the compiler knows.
#pragma once

#include <type_traits>

namespace vitrail {

/// Calls f(std::integral_constant<int, n>) for an n of 1 … N that is known only now; nothing for 0.
template <int N, class F>
[[gnu::always_inline]] inline void with_constant(int n, F f) {
  if constexpr (N > 0) {
    if (n == N) return f(std::integral_constant<int, N>{});
    with_constant<N - 1>(n, f);
  }
}

/// Cuts 0 … count − 1 into blocks of N and a rest: calls f(std::integral_constant<int, size of the block>, its first).
template <int N, class F>
[[gnu::always_inline]] inline void in_blocks(int count, F f) {
  int i = 0;
  for (; i + N <= count; i += N) f(std::integral_constant<int, N>{}, i);
  with_constant<N - 1>(
      count - i, [&](auto rest) __attribute__((always_inline)) { f(rest, i); });
}

/// The least multiple of `unit` that is ≥ n.
constexpr int round_up(int n, int unit) { return (n + unit - 1) / unit * unit; }

}  // namespace vitrail
