// What a core could do at most: a product's instructions with everything in registers.
#pragma once

#include <arm_neon.h>

#include <cstdint>

#include "platforms/registers.hpp"

namespace vitrail::arm {

using FourSums = int32x4_t[4];

/// `rounds` times `add(sums, a, b)` on as many sums as hide its latency; returns how many additions to a sum that is.
template <class A, class Add>
std::uint64_t repeat(int rounds, A a, int8x16_t b, Add add) {
#ifdef __aarch64__
  constexpr int groups = 4;
#else
  constexpr int groups = 2;
#endif
  FourSums sum[groups];
  unroll<4 * groups>([&](auto i) __attribute__((always_inline)) { sum[i / 4][i % 4] = vdupq_n_s32(0); });
  for (int r = 0; r < rounds; ++r)
    unroll<groups>([&](auto g) __attribute__((always_inline)) {
      add(sum[g], a, b);
      unroll<4>([&](auto i) __attribute__((always_inline)) {
        int32x4_t& one = sum[g][i];  // Clang does not see in an asm what a lambda captures
        VITRAIL_IN_REGISTER(one);
      });
    });
  return static_cast<std::uint64_t>(rounds) * 4 * groups;
}

}  // namespace vitrail::arm
