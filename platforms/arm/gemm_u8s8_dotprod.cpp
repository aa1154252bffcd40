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

// A block of k is re-laid once into scratch; its sums stay exact in any order.
constexpr int k_block = 1024;
constexpr int strip = 8;       // columns: two registers per four k
constexpr int row_block = 12;  // 12 rows × 2 registers = 24 of the 32 registers hold sums
constexpr int scratch_rows = Kernels::max_tile_rows;
static_assert(scratch_rows % row_block == 0 && (scratch_rows + strip) * k_block <= Kernels::gemm_scratch_bytes);

/// a − 128 of a block of rows as [k/16][rows/4][4 groups of k][4 rows][4]; absent rows of a quad repeat the last one.
void relay_rows(const std::uint8_t* a, std::size_t lda_bytes, int rows, int k, std::int8_t* dst) {
  const uint8x16_t sign = vdupq_n_u8(0x80);
  const int quads = (rows + 3) / 4;
  for (int q = 0; q < quads; ++q) {
    const std::uint8_t* row[4];
    for (int m = 0; m < 4; ++m) row[m] = a + (4 * q + m < rows ? 4 * q + m : rows - 1) * lda_bytes;
    std::int8_t* to = dst + q * 64;
    for (int i = 0; i < k; i += 16, to += quads * 64) {
      uint32x4x4_t groups;  // stored with a stride of four, the four rows of a group of k meet
      unroll<4>([&](auto m) __attribute__((always_inline)) {
        groups.val[m] = vreinterpretq_u32_u8(veorq_u8(vld1q_u8(row[m] + i), sign));
      });
      vst4q_u32(reinterpret_cast<std::uint32_t*>(to), groups);
    }
  }
}

/// Eight columns of one panel as [k/4][8][4]; `base` becomes 128 · Σ b of each.
void relay_columns(const std::int8_t* b, int k, std::int8_t* dst, int32x4_t (&base)[2]) {
  const int8x16_t minus_128 = vdupq_n_s8(-128);
  int32x4_t sum[2] = {vdupq_n_s32(0), vdupq_n_s32(0)};
  for (int i = 0; i < k; i += 4, b += PackedS8::panel * 4, dst += strip * 4)
    unroll<2>([&](auto j) __attribute__((always_inline)) {
      const int8x16_t four = vld1q_s8(b + 16 * j);
      sum[j] = vdotq_s32(sum[j], four, minus_128);
      vst1q_s8(dst + 16 * j, four);
    });
  unroll<2>([&](auto j) __attribute__((always_inline)) { base[j] = vnegq_s32(sum[j]); });
}

/// M rows × 8 columns over one block of k.
template <int M>
void multiply(const std::int8_t* a, const std::int8_t* b, int k, const int32x4_t (&base)[2], bool first,
              std::int32_t* acc, std::size_t ldacc) {
  constexpr int quads = (M + 3) / 4;
  int32x4_t sum[M][2];
  unroll<2 * M>([&](auto i) __attribute__((always_inline)) {
    sum[i / 2][i % 2] = first ? base[i % 2] : vaddq_s32(base[i % 2], vld1q_s32(acc + i / 2 * ldacc + i % 2 * 4));
  });
  for (int i = 0; i < k; i += 16, a += quads * 64, b += strip * 16)
    unroll<4>([&](auto g) __attribute__((always_inline)) {
      const int8x16_t b0 = vld1q_s8(b + g * 32), b1 = vld1q_s8(b + g * 32 + 16);
      int8x16_t quad[quads];
      unroll<quads>([&](auto q) __attribute__((always_inline)) { quad[q] = vld1q_s8(a + q * 64 + g * 16); });
      unroll<M>([&](auto m) __attribute__((always_inline)) {
        sum[m][0] = vdotq_laneq_s32(sum[m][0], b0, quad[m / 4], m % 4);
        sum[m][1] = vdotq_laneq_s32(sum[m][1], b1, quad[m / 4], m % 4);
        VITRAIL_IN_REGISTER(sum[m][0]);
        VITRAIL_IN_REGISTER(sum[m][1]);
      });
    });
  unroll<2 * M>([&](auto i)
                    __attribute__((always_inline)) { vst1q_s32(acc + i / 2 * ldacc + i % 2 * 4, sum[i / 2][i % 2]); });
}

void gemm_u8s8(const GemmU8S8Tile& t) {
  auto* a = static_cast<std::int8_t*>(t.scratch);
  auto* b = a + scratch_rows * k_block;
  for (int k0 = 0; k0 < t.k_padded; k0 += k_block) {
    const int k = t.k_padded - k0 < k_block ? t.k_padded - k0 : k_block;
    for (int m = 0; m < t.rows; m += row_block)
      relay_rows(t.a + m * t.lda_bytes + k0, t.lda_bytes, t.rows - m < row_block ? t.rows - m : row_block, k,
                 a + m * k);
    for (int n = 0; n < t.panels * PackedS8::panel; n += strip) {
      int32x4_t base[2];
      relay_columns(column_of(t, n, k0), k, b, base);
      in_row_blocks<row_block>(t.rows, [&](auto M, int m) {
        multiply<M>(a + m * k, b, k, base, k0 == 0, t.acc + m * t.ldacc + n, t.ldacc);
      });
    }
  }
}

}  // namespace

void install_gemm_dotprod(Kernels& k) {
  k.gemm_u8s8 = gemm_u8s8;
  k.gemm_row_unit = row_block;
  k.gemm_name = "dotprod";
}

}  // namespace vitrail::arm
