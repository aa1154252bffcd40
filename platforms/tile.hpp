// What all tiles do the same way: rows in blocks whose size the compiler knows.
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

/// Cuts `rows` into blocks of N and a rest: calls f(std::integral_constant<int, rows of the block>, first row).
template <int N, class F>
[[gnu::always_inline]] inline void in_row_blocks(int rows, F f) {
  int m = 0;
  for (; m + N <= rows; m += N) f(std::integral_constant<int, N>{}, m);
  with_constant<N - 1>(
      rows - m, [&](auto rest) __attribute__((always_inline)) { f(rest, m); });
}

/// The least multiple of `unit` that is ≥ n.
constexpr int round_up(int n, int unit) { return (n + unit - 1) / unit * unit; }

}  // namespace vitrail
