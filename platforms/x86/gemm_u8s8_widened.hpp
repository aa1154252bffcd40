// int8 GEMM tile for x86 without VNNI, written once for all register widths. Exact: bytes are widened to 16 bits and
// multiplied with pmaddwd, because pmaddubsw would saturate (2 · 255 · 127 > 32767).
#pragma once

#include "platforms/registers.hpp"
#include "platforms/tile.hpp"
#include "runtime/kernels.hpp"

namespace vitrail::x86 {

/// @tparam S  an instruction set, a type local to its file so that nothing compiled for it is shared: V, a register of
///            `columns` 32-bit lanes; row_block, rows whose 2 · row_block sums stay in registers; zero, load, store,
///            widen (u8 or s8 to 16 bits), broadcast (four 16-bit values), multiply, add (to a sum, where it is), and
///            fold (adds neighbouring lanes of two registers)
template <class S>
struct Widened {
  using V = typename S::V;
  static constexpr int columns = sizeof(V) / 4;  ///< that are multiplied together: two registers per four k
  static constexpr int lanes = sizeof(V) / 2;    ///< 16-bit values of a register

  // A block of k is widened once into scratch and used by every row and column of the tile; its sums stay exact in any
  // order.
  static constexpr int k_block = 768;
  static constexpr int scratch_rows = Kernels::max_tile_rows;
  static_assert((scratch_rows + columns) * k_block * 2 <= Kernels::gemm_scratch_bytes);

  /// 16 bits per element, so that pmaddwd multiplies pairs of k.
  static void widen_rows(const std::uint8_t* a, std::size_t lda_bytes, int rows, int k, std::int16_t* dst) {
    for (int m = 0; m < rows; ++m)
      for (int i = 0; i < k; i += lanes) S::store(dst + m * k_block + i, S::widen(a + m * lda_bytes + i));
  }

  /// M rows × a strip over one block of k. Each lane holds half of a column's sum (two of every four k).
  /// @tparam first_rows  of this strip: they read it from `packed`, and leave it in b for the others, as two registers
  ///                     per four k. Beside multiplications, storing costs next to nothing.
  template <int M, bool first_rows>
  VITRAIL_TILE static void multiply(const std::int16_t* a, const std::int8_t* packed, std::int16_t* b, int k,
                                    bool first, std::int32_t* acc, std::size_t ldacc) {
    V sum[M][2];
    unroll<M>([&](auto m) __attribute__((always_inline)) { sum[m][0] = sum[m][1] = S::zero(); });
    for (int i = 0; i < k; i += 4, b += 2 * lanes, packed += PackedS8::panel * 4) {
      // A strip is a part of each 256 bytes: further apart than the CPU foresees.
      if constexpr (first_rows) __builtin_prefetch(packed + 16 * 4 * PackedS8::panel);
      const V b0 = first_rows ? S::widen(packed) : S::load(b);
      const V b1 = first_rows ? S::widen(packed + lanes) : S::load(b + lanes);
      unroll<M>([&](auto m) __attribute__((always_inline)) {
        const V four = S::broadcast(a + m * k_block + i);
        const V x0 = S::multiply(four, b0), x1 = S::multiply(four, b1);
        S::add(sum[m][0], x0);  // after both products: before the second, Zen 4 needs up to a sixth more time
        S::add(sum[m][1], x1);
      });
      if constexpr (first_rows) {
        S::store(b, b0);
        S::store(b + lanes, b1);
      } else {
        VITRAIL_KEEP(b0);
        VITRAIL_KEEP(b1);
      }
    }
    unroll<M>([&](auto m) __attribute__((always_inline)) {
      V y = S::fold(sum[m][0], sum[m][1]);
      if (!first) S::add(y, S::load(acc + m * ldacc));
      S::store(acc + m * ldacc, y);
    });
  }

  static void gemm_u8s8(const GemmU8S8Tile& t) {
    auto* a = static_cast<std::int16_t*>(t.scratch);
    auto* b = a + scratch_rows * k_block;
    constexpr LayoutS8 layout;
    const int all_k = round_up(t.k, lanes);
    for (int k0 = 0; k0 < all_k; k0 += k_block) {
      const int k = all_k - k0 < k_block ? all_k - k0 : k_block;
      widen_rows(t.a + k0, t.lda_bytes, t.rows, k, a);
      for (int n = 0; n < round_up(t.cols, 16); n += columns) {
        const std::int8_t* packed = t.b + layout.at(n, k0, t.k_padded);
        in_blocks<S::row_block>(t.rows, [&](auto M, int m) {
          (m == 0 ? multiply<M, true> : multiply<M, false>)(a + m * k_block, packed, b, k, k0 == 0,
                                                            t.acc + m * t.ldacc + n, t.ldacc);
        });
      }
    }
  }

  static std::uint64_t peak_u8s8(int rounds) {
    constexpr int rows = S::row_block;
    const std::int16_t threes[4] = {3, 3, 3, 3};
    V sum[rows][2], a = S::broadcast(threes);
    const V b = a;
    unroll<rows>([&](auto m) __attribute__((always_inline)) { sum[m][0] = sum[m][1] = S::zero(); });
    for (int r = 0; r < rounds; ++r)
      unroll<rows>([&](auto m) __attribute__((always_inline)) {
        const V x0 = S::multiply(a, b);
        VITRAIL_IN_REGISTER(a);  // or the product would be computed once
        const V x1 = S::multiply(a, b);
        VITRAIL_IN_REGISTER(a);
        S::add(sum[m][0], x0);
        S::add(sum[m][1], x1);
      });
    return static_cast<std::uint64_t>(rounds) * 2 * rows * lanes;
  }

  static void install(Kernels& k, const char* name) {
    k.gemm_u8s8 = gemm_u8s8;
    k.peak_u8s8 = peak_u8s8;
    k.gemm_tile = {.row_unit = S::row_block};
    k.gemm_name = name;
  }
};

}  // namespace vitrail::x86
