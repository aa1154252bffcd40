// int8 GEMM tile for Armv8.2 with sdot: four columns × four k per register, times four k of one row by element.
// sdot multiplies s8 × s8, so it gets a − 128, and 128 · Σ b is added back.
#ifndef __ARM_FEATURE_DOTPROD
#error "compile with -march=armv8.2-a+dotprod"
#endif
#include <arm_neon.h>

#include "platforms/arm/arm.hpp"
#include "platforms/registers.hpp"
#include "platforms/tile.hpp"

namespace vitrail::arm {
namespace {

// A block of k of the rows is re-laid once into scratch; sums stay exact in any order.
constexpr int k_block = 1024;
constexpr LayoutS8 layout{8, 4};  // a strip is two registers per four k
constexpr int row_block = 8;      // 8 rows × 2 registers of sums, and sixteen k of 8 rows, are 24 of the 32 registers
constexpr int strip = layout.columns;
static_assert(Kernels::max_tile_rows * k_block <= Kernels::gemm_scratch_bytes);

/// a − 128 of M rows as [k/16][M][16].
template <int M>
void relay_rows(const std::uint8_t* a, std::size_t lda_bytes, int k, std::int8_t* dst) {
  const uint8x16_t sign = vdupq_n_u8(0x80);
  const std::uint8_t* row[M];
  unroll<M>([&](auto m) __attribute__((always_inline)) { row[m] = a + m * lda_bytes; });
  for (int i = 0; i < k; i += 16, dst += M * 16)
    unroll<M>([&](auto m) __attribute__((always_inline)) {
      vst1q_s8(dst + m * 16, vreinterpretq_s8_u8(veorq_u8(vld1q_u8(row[m] + i), sign)));
    });
}

/// M rows × 8 columns over one block of k; the first one starts from 128 · b_sum.
template <int M>
void multiply(const std::int8_t* a, const std::int8_t* b, int k, const std::int32_t* b_sum, bool first,
              std::int32_t* acc, std::size_t ldacc) {
  int32x4_t sum[M][2];
  if (first) {
    const int32x4_t base[2] = {vshlq_n_s32(vld1q_s32(b_sum), 7), vshlq_n_s32(vld1q_s32(b_sum + 4), 7)};
    unroll<2 * M>([&](auto i) __attribute__((always_inline)) { sum[i / 2][i % 2] = base[i % 2]; });
  } else {
    std::int32_t* row = acc;
    unroll<M>([&](auto m) __attribute__((always_inline)) {
      unroll<2>([&](auto j) __attribute__((always_inline)) { sum[m][j] = vld1q_s32(row + 4 * j); });
      row = forget(row + ldacc);
    });
  }
  // Pairs of loads, not ld1 of four registers: fewer instructions, but an in-order core stands still for one. For such
  // a core, too, columns are loaded before the rows they are not yet multiplied with.
  for (int i = 0; i < k; i += 32, a += M * 32, b += strip * 32) {
    int8x16_t row[M], column[2], next[2];
    const auto load_next = [&](auto g) __attribute__((always_inline)) {
      unroll<2>([&](auto j) __attribute__((always_inline)) { next[j] = vld1q_s8(b + (g * 2 + j) * 16); });
    };
    unroll<8>([&](auto g) __attribute__((always_inline)) {
      if constexpr (g % 4 == 0) {
        load_next(g);
        unroll<M>([&](auto m) __attribute__((always_inline)) { row[m] = vld1q_s8(a + (g / 4 * M + m) * 16); });
      }
      column[0] = next[0], column[1] = next[1];
      if constexpr (g % 4 < 3) load_next(std::integral_constant<int, g + 1>());
      unroll<M>([&](auto m) __attribute__((always_inline)) {
        unroll<2>([&](auto j) __attribute__((always_inline)) {
          sum[m][j] = vdotq_laneq_s32(sum[m][j], column[j], row[m], g % 4);
          VITRAIL_IN_REGISTER(sum[m][j]);
        });
      });
    });
  }
  unroll<M>([&](auto m) __attribute__((always_inline)) {
    unroll<2>([&](auto j) __attribute__((always_inline)) { vst1q_s32(acc + 4 * j, sum[m][j]); });
    acc = forget(acc + ldacc);
  });
}

void gemm_u8s8(const GemmU8S8Tile& t) {
  auto* a = static_cast<std::int8_t*>(t.scratch);
  const int all_k = round_up(t.k, 32);
  for (int k0 = 0; k0 < all_k; k0 += k_block) {
    const int k = all_k - k0 < k_block ? all_k - k0 : k_block;
    in_blocks<row_block>(t.rows,
                         [&](auto M, int m) { relay_rows<M>(t.a + m * t.lda_bytes + k0, t.lda_bytes, k, a + m * k); });
    for (int n = 0; n < round_up(t.cols, 16); n += strip) {
      const std::int8_t* b = t.b + layout.at(n, k0, t.k_padded);
      in_blocks<row_block>(t.rows, [&](auto M, int m) {
        multiply<M>(a + m * k, b, k, t.b_sum + n, k0 == 0, t.acc + m * t.ldacc + n, t.ldacc);
      });
    }
  }
}

}  // namespace

void install_gemm_dotprod(Kernels& k) {
  k.gemm_u8s8 = gemm_u8s8;
  k.gemm_row_unit = row_block;
  k.layout_s8 = layout;
  k.gemm_name = "dotprod";
}

}  // namespace vitrail::arm
