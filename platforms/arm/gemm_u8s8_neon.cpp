// int8 GEMM tile for NEON without dot products (Armv8.0, and armv7). Exact: with a − 128 in place of a, two products
// of bytes fit 16 bits (2 · 128 · 127 < 32768), pairs of them are added to 32 bits, and 128 · Σ b is added back.
#ifndef __ARM_NEON
#error "compile for NEON (32-bit ARM: -mfpu=neon-vfpv4)"
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
constexpr LayoutS8 layout{4, 16};  // a register is sixteen k of one column; each sum a register of four partial sums
constexpr int columns = layout.columns;
#ifdef __aarch64__
constexpr int row_block = 4;  // 4 × 4 of the 32 registers hold sums
#else
constexpr int row_block = 2;  // 2 × 4 of the 16 registers
#endif
static_assert(Kernels::max_tile_rows * k_block <= Kernels::gemm_scratch_bytes);

/// Sixteen products of s8, added in fours to the sums.
[[gnu::always_inline]] inline int16x8_t multiply_low(int8x16_t a, int8x16_t b) {
  return vmull_s8(vget_low_s8(a), vget_low_s8(b));
}
[[gnu::always_inline]] inline int16x8_t multiply_high(int16x8_t sum, int8x16_t a, int8x16_t b) {
#ifdef __aarch64__
  return vmlal_high_s8(sum, a, b);
#else
  return vmlal_s8(sum, vget_high_s8(a), vget_high_s8(b));
#endif
}

/// The four totals of four registers.
[[gnu::always_inline]] inline int32x4_t totals(const int32x4_t (&x)[4]) {
#ifdef __aarch64__
  return vpaddq_s32(vpaddq_s32(x[0], x[1]), vpaddq_s32(x[2], x[3]));
#else
  const auto half = [](int32x4_t v) { return vpadd_s32(vget_low_s32(v), vget_high_s32(v)); };
  return vcombine_s32(vpadd_s32(half(x[0]), half(x[1])), vpadd_s32(half(x[2]), half(x[3])));
#endif
}

/// a − 128 of a block of rows as [k/16][rows][16].
void relay_rows(const std::uint8_t* a, std::size_t lda_bytes, int rows, int k, std::int8_t* dst) {
  const uint8x16_t sign = vdupq_n_u8(0x80);
  for (int m = 0; m < rows; ++m, a += lda_bytes) {
    std::int8_t* to = dst + m * 16;
    for (int i = 0; i < k; i += 16, to += rows * 16) vst1q_s8(to, vreinterpretq_s8_u8(veorq_u8(vld1q_u8(a + i), sign)));
  }
}

/// M rows × 4 columns over one block of k; the first one adds 128 · b_sum.
template <int M>
void multiply(const std::int8_t* a, const std::int8_t* b, int k, const std::int32_t* b_sum, bool first,
              std::int32_t* acc, std::size_t ldacc) {
  int32x4_t sum[M][columns];
  unroll<columns * M>([&](auto i) __attribute__((always_inline)) { sum[i / columns][i % columns] = vdupq_n_s32(0); });
  for (int i = 0; i < k; i += 16, a += M * 16, b += columns * 16) {
    int8x16_t row[M];
    unroll<M>([&](auto m) __attribute__((always_inline)) { row[m] = vld1q_s8(a + m * 16); });
    unroll<columns>([&](auto n) __attribute__((always_inline)) {
      const int8x16_t column = vld1q_s8(b + n * 16);
      int16x8_t product[M];
      unroll<M>([&](auto m) __attribute__((always_inline)) {
        product[m] = multiply_low(row[m], column);
        VITRAIL_IN_REGISTER(product[m]);
      });
      unroll<M>([&](auto m) __attribute__((always_inline)) {
        product[m] = multiply_high(product[m], row[m], column);
        VITRAIL_IN_REGISTER(product[m]);
      });
      unroll<M>([&](auto m) __attribute__((always_inline)) {
        sum[m][n] = vpadalq_s16(sum[m][n], product[m]);
        VITRAIL_IN_REGISTER(sum[m][n]);
      });
    });
  }
  unroll<M>([&](auto m) __attribute__((always_inline)) {
    const int32x4_t before = first ? vshlq_n_s32(vld1q_s32(b_sum), 7) : vld1q_s32(acc + m * ldacc);
    vst1q_s32(acc + m * ldacc, vaddq_s32(totals(sum[m]), before));
  });
}

void gemm_u8s8(const GemmU8S8Tile& t) {
  auto* a = static_cast<std::int8_t*>(t.scratch);
  const int all_k = round_up(t.k, 16);
  for (int k0 = 0; k0 < all_k; k0 += k_block) {
    const int k = all_k - k0 < k_block ? all_k - k0 : k_block;
    for (int m = 0; m < t.rows; m += row_block)
      relay_rows(t.a + m * t.lda_bytes + k0, t.lda_bytes, t.rows - m < row_block ? t.rows - m : row_block, k,
                 a + m * k);
    for (int n = 0; n < round_up(t.cols, 16); n += columns) {
      const std::int8_t* b = t.b + layout.at(n, k0, t.k_padded);
      in_blocks<row_block>(t.rows, [&](auto M, int m) {
        multiply<M>(a + m * k, b, k, t.b_sum + n, k0 == 0, t.acc + m * t.ldacc + n, t.ldacc);
      });
    }
  }
}

std::uint64_t peak_u8s8(int rounds) {
  const auto add = [](FourSums & sum, int8x16_t a, int8x16_t b) __attribute__((always_inline)) {
    int16x8_t product[4];
    unroll<4>([&](auto i) __attribute__((always_inline)) {
      VITRAIL_IN_REGISTER(a);  // nothing is known of it, so that no two products are one
      product[i] = multiply_low(a, b);
      VITRAIL_IN_REGISTER(product[i]);
    });
    unroll<4>([&](auto i) __attribute__((always_inline)) {
      product[i] = multiply_high(product[i], a, b);
      VITRAIL_IN_REGISTER(product[i]);
    });
    unroll<4>([&](auto i) __attribute__((always_inline)) { sum[i] = vpadalq_s16(sum[i], product[i]); });
  };
  return 16 * repeat(rounds, vdupq_n_s8(3), vdupq_n_s8(5), add);
}

}  // namespace

void install_gemm_neon(Kernels& k) {
  k.gemm_u8s8 = gemm_u8s8;
  k.peak_u8s8 = peak_u8s8;
  k.gemm_tile = {.row_unit = row_block};
  k.layout_s8 = layout;
  k.gemm_name = "neon";
}

}  // namespace vitrail::arm
