// int8 GEMM tile for Armv8.6 with usmmla: two rows × eight k (u8) times two columns × eight k (s8) give a 2 × 2 block
// of sums per register.
#ifndef __ARM_FEATURE_MATMUL_INT8
#error "compile with -march=armv8.2-a+dotprod+i8mm"
#endif
#include <arm_neon.h>

#include "platforms/arm/arm.hpp"
#include "platforms/arm/peak.hpp"
#include "platforms/registers.hpp"
#include "platforms/tile.hpp"

namespace vitrail::arm {
namespace {

// A block of k of the rows is re-laid once into scratch; sums stay exact in any order.
constexpr int k_block = 1024;
constexpr LayoutS8 layout{8, 8};  // a strip is four registers of two columns
constexpr int row_block = 12;     // 6 pairs of rows × 4 registers = 24 of the 32 registers hold sums
constexpr int strip = layout.columns;
static_assert((Kernels::max_tile_rows + row_block) * k_block <= Kernels::gemm_scratch_bytes);

/// A block of rows as [k/8][pairs of rows][2 rows][8]; an odd last row is its own partner.
void relay_rows(const std::uint8_t* a, std::size_t lda_bytes, int rows, int k, std::uint8_t* dst) {
  const int pairs = (rows + 1) / 2;
  for (int p = 0; p < pairs; ++p) {
    const std::uint8_t* row0 = a + 2 * p * lda_bytes;
    const std::uint8_t* row1 = 2 * p + 1 < rows ? row0 + lda_bytes : row0;
    std::uint8_t* to = dst + p * 16;
    for (int i = 0; i < k; i += 32)
      unroll<2>([&](auto j) __attribute__((always_inline)) {
        const uint64x2_t x = vreinterpretq_u64_u8(vld1q_u8(row0 + i + 16 * j));
        const uint64x2_t y = vreinterpretq_u64_u8(vld1q_u8(row1 + i + 16 * j));
        vst1q_u8(to, vreinterpretq_u8_u64(vzip1q_u64(x, y)));
        vst1q_u8(to + pairs * 16, vreinterpretq_u8_u64(vzip2q_u64(x, y)));
        to += pairs * 32;
      });
  }
}

/// M rows × 8 columns over one block of k.
template <int M>
void multiply(const std::uint8_t* a, const std::int8_t* b, int k, bool first, std::int32_t* acc, std::size_t ldacc) {
  constexpr int pairs = (M + 1) / 2;
  int32x4_t sum[pairs][4];
  unroll<4 * pairs>([&](auto i) __attribute__((always_inline)) { sum[i / 4][i % 4] = vdupq_n_s32(0); });
  for (int i = 0; i < k; i += 32, a += pairs * 64)
    unroll<4>([&](auto g) __attribute__((always_inline)) {
      const int8x16x4_t column = vld1q_s8_x4(b);
      b = forget(b + 64);
      // Rows are loaded two registers at a time: one instruction, and few registers wait for their use.
      unroll<(pairs + 1) / 2>([&](auto two) __attribute__((always_inline)) {
        constexpr int p = 2 * two, count = p + 1 < pairs ? 2 : 1;
        uint8x16_t row[2];
        unroll<count>([&](auto i) __attribute__((always_inline)) { row[i] = vld1q_u8(a + (g * pairs + p + i) * 16); });
        unroll<count>([&](auto i) __attribute__((always_inline)) {
          unroll<4>([&](auto j) __attribute__((always_inline)) {
            sum[p + i][j] = vusmmlaq_s32(sum[p + i][j], row[i], column.val[j]);
            VITRAIL_IN_REGISTER(sum[p + i][j]);
          });
        });
      });
    });
  unroll<M>([&](auto m) __attribute__((always_inline)) {
    int32x4_t row[2];
    unroll<2>([&](auto j) __attribute__((always_inline)) {
      const int64x2_t x = vreinterpretq_s64_s32(sum[m / 2][2 * j]), y = vreinterpretq_s64_s32(sum[m / 2][2 * j + 1]);
      row[j] = vreinterpretq_s32_s64(m % 2 == 0 ? vzip1q_s64(x, y) : vzip2q_s64(x, y));
    });
    unroll<2>([&](auto j) __attribute__((always_inline)) {
      vst1q_s32(acc + 4 * j, first ? row[j] : vaddq_s32(row[j], vld1q_s32(acc + 4 * j)));
    });
    acc = forget(acc + ldacc);
  });
}

void gemm_u8s8(const GemmU8S8Tile& t) {
  auto* a = static_cast<std::uint8_t*>(t.scratch);
  const int all_k = round_up(t.k, 32);
  for (int k0 = 0; k0 < all_k; k0 += k_block) {
    const int k = all_k - k0 < k_block ? all_k - k0 : k_block;
    for (int m = 0; m < t.rows; m += row_block)
      relay_rows(t.a + m * t.lda_bytes + k0, t.lda_bytes, t.rows - m < row_block ? t.rows - m : row_block, k,
                 a + m * k);
    for (int n = 0; n < round_up(t.cols, 16); n += strip) {
      const std::int8_t* b = t.b + layout.at(n, k0, t.k_padded);
      in_blocks<row_block>(
          t.rows, [&](auto M, int m) { multiply<M>(a + m * k, b, k, k0 == 0, t.acc + m * t.ldacc + n, t.ldacc); });
    }
  }
}

std::uint64_t peak_u8s8(int rounds) {
  const auto add = [](FourSums & sum, uint8x16_t a, int8x16_t b) __attribute__((always_inline)) {
    unroll<4>([&](auto i) __attribute__((always_inline)) { sum[i] = vusmmlaq_s32(sum[i], a, b); });
  };
  return 32 * repeat(rounds, vdupq_n_u8(3), vdupq_n_s8(5), add);
}

}  // namespace

void install_gemm_i8mm(Kernels& k) {
  k.gemm_u8s8 = gemm_u8s8;
  k.peak_u8s8 = peak_u8s8;
  k.gemm_tile = {.row_unit = row_block};
  k.layout_s8 = layout;
  k.gemm_name = "i8mm";
}

}  // namespace vitrail::arm
