// int8 GEMM tile for Armv8.6 with usmmla: two rows × eight k (u8) times two columns × eight k (s8) give a 2 × 2 block
// of sums per register.
#ifndef __ARM_FEATURE_MATMUL_INT8
#error "compile with -march=armv8.2-a+dotprod+i8mm"
#endif
#include <arm_neon.h>

#include "platforms/arm/arm.hpp"
#include "platforms/registers.hpp"
#include "platforms/tile.hpp"

namespace vitrail::arm {
namespace {

// A block of k is re-laid once into scratch; its sums stay exact in any order.
constexpr int k_block = 1024;
constexpr int strip = 8;       // columns: four registers of two
constexpr int row_block = 12;  // 6 pairs of rows × 4 registers = 24 of the 32 registers hold sums
constexpr int scratch_rows = Kernels::max_tile_rows;
static_assert(scratch_rows % row_block == 0 && (scratch_rows + strip) * k_block <= Kernels::gemm_scratch_bytes);

/// A block of rows as [k/8][pairs of rows][2 rows][8]; an odd last row is its own partner.
void relay_rows(const std::uint8_t* a, std::size_t lda_bytes, int rows, int k, std::uint8_t* dst) {
  const int pairs = (rows + 1) / 2;
  for (int p = 0; p < pairs; ++p) {
    const std::uint8_t* row0 = a + 2 * p * lda_bytes;
    const std::uint8_t* row1 = 2 * p + 1 < rows ? row0 + lda_bytes : row0;
    std::uint8_t* to = dst + p * 16;
    for (int i = 0; i < k; i += 16, to += pairs * 32) {
      const uint64x2_t x = vreinterpretq_u64_u8(vld1q_u8(row0 + i)), y = vreinterpretq_u64_u8(vld1q_u8(row1 + i));
      vst1q_u8(to, vreinterpretq_u8_u64(vzip1q_u64(x, y)));
      vst1q_u8(to + pairs * 16, vreinterpretq_u8_u64(vzip2q_u64(x, y)));
    }
  }
}

/// Eight columns of one panel as [k/8][8][8].
void relay_columns(const std::int8_t* b, int k, std::int8_t* dst) {
  for (int i = 0; i < k; i += 8, b += 2 * PackedS8::panel * 4, dst += strip * 8)
    unroll<2>([&](auto j) __attribute__((always_inline)) {
      const int32x4_t x = vreinterpretq_s32_s8(vld1q_s8(b + 16 * j));
      const int32x4_t y = vreinterpretq_s32_s8(vld1q_s8(b + PackedS8::panel * 4 + 16 * j));
      vst1q_s8(dst + 32 * j, vreinterpretq_s8_s32(vzip1q_s32(x, y)));
      vst1q_s8(dst + 32 * j + 16, vreinterpretq_s8_s32(vzip2q_s32(x, y)));
    });
}

/// Up to two rows × 4 columns out of two registers of 2 × 2.
[[gnu::always_inline]] inline void store(int32x4_t x, int32x4_t y, bool first, std::int32_t* acc) {
  int32x4_t sum = vreinterpretq_s32_s64(vzip1q_s64(vreinterpretq_s64_s32(x), vreinterpretq_s64_s32(y)));
  if (!first) sum = vaddq_s32(sum, vld1q_s32(acc));
  vst1q_s32(acc, sum);
}

/// M rows × 8 columns over one block of k.
template <int M>
void multiply(const std::uint8_t* a, const std::int8_t* b, int k, bool first, std::int32_t* acc, std::size_t ldacc) {
  constexpr int pairs = (M + 1) / 2;
  int32x4_t sum[pairs][4];
  unroll<4 * pairs>([&](auto i) __attribute__((always_inline)) { sum[i / 4][i % 4] = vdupq_n_s32(0); });
  for (int i = 0; i < k; i += 16, a += pairs * 32, b += strip * 16)
    unroll<2>([&](auto g) __attribute__((always_inline)) {
      int8x16_t column[4];
      unroll<4>([&](auto j) __attribute__((always_inline)) { column[j] = vld1q_s8(b + g * 64 + j * 16); });
      // Rows are loaded two registers at a time: one instruction, and few registers wait for their use.
      unroll<(pairs + 1) / 2>([&](auto two) __attribute__((always_inline)) {
        constexpr int p = 2 * two, count = p + 1 < pairs ? 2 : 1;
        uint8x16_t row[2];
        unroll<count>([&](auto i) __attribute__((always_inline)) { row[i] = vld1q_u8(a + (g * pairs + p + i) * 16); });
        unroll<count>([&](auto i) __attribute__((always_inline)) {
          unroll<4>([&](auto j) __attribute__((always_inline)) {
            sum[p + i][j] = vusmmlaq_s32(sum[p + i][j], row[i], column[j]);
            VITRAIL_IN_REGISTER(sum[p + i][j]);
          });
        });
      });
    });
  unroll<2 * pairs>([&](auto i) __attribute__((always_inline)) {
    constexpr int p = i / 2, j = i % 2;
    const int32x4_t x = sum[p][2 * j], y = sum[p][2 * j + 1];
    store(x, y, first, acc + 2 * p * ldacc + 4 * j);
    if constexpr (2 * p + 1 < M)
      store(vextq_s32(x, x, 2), vextq_s32(y, y, 2), first, acc + (2 * p + 1) * ldacc + 4 * j);
  });
}

void gemm_u8s8(const GemmU8S8Tile& t) {
  auto* a = static_cast<std::uint8_t*>(t.scratch);
  auto* b = reinterpret_cast<std::int8_t*>(a + scratch_rows * k_block);
  for (int k0 = 0; k0 < t.k_padded; k0 += k_block) {
    const int k = t.k_padded - k0 < k_block ? t.k_padded - k0 : k_block;
    for (int m = 0; m < t.rows; m += row_block)
      relay_rows(t.a + m * t.lda_bytes + k0, t.lda_bytes, t.rows - m < row_block ? t.rows - m : row_block, k,
                 a + m * k);
    for (int n = 0; n < t.panels * PackedS8::panel; n += strip) {
      relay_columns(column_of(t, n, k0), k, b);
      in_row_blocks<row_block>(
          t.rows, [&](auto M, int m) { multiply<M>(a + m * k, b, k, k0 == 0, t.acc + m * t.ldacc + n, t.ldacc); });
    }
  }
}

}  // namespace

void install_gemm_i8mm(Kernels& k) {
  k.gemm_u8s8 = gemm_u8s8;
  k.gemm_row_unit = row_block;
  k.gemm_name = "i8mm";
}

}  // namespace vitrail::arm
