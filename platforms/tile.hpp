// What all int8 tiles do the same way: rows in blocks whose size the compiler knows, and where a column is in a panel.
#pragma once

#include <type_traits>

#include "runtime/kernels.hpp"

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

/// Column n of a tile's b at k, a multiple of 4; the next four k of it are PackedS8::panel · 4 bytes further.
[[gnu::always_inline]] inline const std::int8_t* column_of(const GemmU8S8Tile& t, int n, int k) {
  const int panel = n / PackedS8::panel * PackedS8::panel;
  return t.b + static_cast<std::size_t>(panel) * t.k_padded + static_cast<std::size_t>(k) * PackedS8::panel +
         (n - panel) * 4;
}

}  // namespace vitrail
