// int8 GEMM tile for Armv8.2 with sdot: four columns × four k per register, times four k of one row by element.
// sdot multiplies s8 × s8, so it gets a − 128, and 128 · Σ b is added back.
#ifndef __ARM_FEATURE_DOTPROD
#error "compile with -march=armv8.2-a+dotprod"
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

template <int M>
using Sums = int32x4_t[M][2];

/// Adds M rows × 8 columns of products over one block of k.
template <int M>
[[gnu::always_inline]] inline void add_products(Sums<M>& sum, const std::int8_t* a, const std::int8_t* b, int k) {
  // Pairs of loads, not ld1 of four registers: as few instructions matter to cores that order loads themselves.
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
}

/// The same for a core that issues in order, two instructions at a time: each load stands behind an sdot and is wanted
/// many sdots later. A row is loaded again as soon as its last element was used.
template <int M>
[[gnu::always_inline]] inline void add_products_in_order(Sums<M>& sum, const std::int8_t* a, const std::int8_t* b,
                                                         int k) {
  // A load with its offset in a register takes as long as an sdot, so that it may finish beside one; with a constant
  // offset it would be ready earlier and has to wait. Sixteen registers hold the offsets of all loads.
  std::int64_t offset[16];
  unroll<16>([&](auto i) __attribute__((always_inline)) {
    offset[i] = i * 16;
    __asm__("" : "+r"(offset[i]));
  });
  const auto load = [&](int8x16_t & value, const std::int8_t* base, auto i) __attribute__((always_inline)) {
    const std::int64_t from = offset[i];  // Clang does not see in an asm what a lambda captures
    __asm__ volatile("ldr %q0, [%1, %2]" : "+w"(value) : "r"(base), "r"(from));  // "+": in the same register
  };
  int8x16_t row[M], column[2][2];
  __asm__ volatile("" ::: "memory");  // the rows are in memory: nothing else tells the compiler that `load` reads it
  unroll<M>([&](auto m) __attribute__((always_inline)) { row[m] = vld1q_s8(a + m * 16); });
  unroll<4>([&](auto j) __attribute__((always_inline)) { column[j / 2][j % 2] = vld1q_s8(b + j * 16); });
  for (std::int64_t left = k; left > 0; left -= 32) {
    // Behind the last k there may be no memory: what is loaded there is this block again.
    const std::int64_t step = left > 32 ? 32 : 0;
    unroll<8>([&](auto g) __attribute__((always_inline)) {
      if constexpr (g == 4) a += M * step;
      if constexpr (g == 7) b += strip * step;
      unroll<M>([&](auto m) __attribute__((always_inline)) {
        unroll<2>([&](auto j) __attribute__((always_inline)) {
          sum[m][j] = vdotq_laneq_s32(sum[m][j], column[g % 2][j], row[m], g % 4);
          VITRAIL_IN_REGISTER(sum[m][j]);
          if constexpr (m == 0) {
            constexpr int next = (g + 1) % 8;
            load(column[next % 2][j], b, std::integral_constant<int, next * 2 + j>());
          }
        });
        if constexpr (g % 4 == 3) load(row[m], a, std::integral_constant<int, (g == 3 ? M : 0) + m>());
      });
    });
  }
  __asm__ volatile("" ::: "memory");  // nor that it is not to be written before
}

/// M rows × 8 columns over one block of k; the first one starts from 128 · b_sum.
template <int M, bool in_order>
void multiply(const std::int8_t* a, const std::int8_t* b, int k, const std::int32_t* b_sum, bool first,
              std::int32_t* acc, std::size_t ldacc) {
  Sums<M> sum;
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
  if constexpr (in_order)
    add_products_in_order<M>(sum, a, b, k);
  else
    add_products<M>(sum, a, b, k);
  unroll<M>([&](auto m) __attribute__((always_inline)) {
    unroll<2>([&](auto j) __attribute__((always_inline)) { vst1q_s32(acc + 4 * j, sum[m][j]); });
    acc = forget(acc + ldacc);
  });
}

template <bool in_order>
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
        multiply<M, in_order>(a + m * k, b, k, t.b_sum + n, k0 == 0, t.acc + m * t.ldacc + n, t.ldacc);
      });
    }
  }
}

std::uint64_t peak_u8s8(int rounds) {
  const auto add = [](FourSums & sum, int8x16_t a, int8x16_t b) __attribute__((always_inline)) {
    unroll<4>([&](auto i) __attribute__((always_inline)) { sum[i] = vdotq_s32(sum[i], a, b); });
  };
  return 16 * repeat(rounds, vdupq_n_s8(3), vdupq_n_s8(5), add);
}

}  // namespace

void install_gemm_dotprod_in_order(Kernels& k) {
  k.gemm_u8s8 = gemm_u8s8<true>;
  k.peak_u8s8 = peak_u8s8;
  k.gemm_tile = {.row_unit = row_block};
  k.layout_s8 = layout;
  k.gemm_name = "dotprod_in_order";
}

void install_gemm_dotprod(Kernels& k) {
  install_gemm_dotprod_in_order(k);
  k.gemm_u8s8 = gemm_u8s8<false>;
  k.gemm_name = "dotprod";
}

}  // namespace vitrail::arm
