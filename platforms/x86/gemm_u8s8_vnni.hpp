// int8 GEMM tile for x86 with VNNI, written once for 256 and 512 bits: vpdpbusd multiplies u8 × s8 and adds four
// products to an s32 without saturating. VNNI's instructions are written as assembly, so that these files share the
// flags, and with them the templates, of simd_avx2.cpp and simd_avx512.cpp.
#pragma once

#include "platforms/registers.hpp"
#include "platforms/simd/products.hpp"
#include "platforms/tile.hpp"
#include "runtime/kernels.hpp"

namespace vitrail::x86 {

/// @tparam S  an instruction set, a type local to its file so that nothing compiled for it is shared: Arch, what xsimd
///            calls it; V, a register of 32-bit lanes; row_block rows × registers, whose sums stay in registers; zero,
///            load, store, broadcast (four bytes), multiply_add (vpdpbusd) and multiply_add_words (vpdpwssd of a
///            broadcast s32 and a register), in place: GCC would move sums from register to register between intrinsics
template <class S>
struct Vnni {
  using V = typename S::V;
  template <int M, int N>
  using Sums = V[M][N];
  static constexpr int lanes = sizeof(V) / 4, per_sixteen = 16 / lanes;
  static constexpr int strip = S::registers * lanes;  ///< columns that are multiplied together

  /// Fetches a tile's share of what comes after it, some bytes with every four of k, so that it never waits for many
  /// lines at once.
  struct Fetch {
    const std::int8_t* at;
    std::ptrdiff_t step;

    explicit Fetch(const GemmU8S8Tile& t) : at(t.ahead.data ? t.ahead.data : t.b), step(0) {
      const int blocks = round_up(t.cols, strip) / strip * (round_up(t.rows, S::row_block) / S::row_block);
      if (t.ahead.data) step = static_cast<std::ptrdiff_t>(t.ahead.bytes) / (blocks * (round_up(t.k, 4) / 4)) + 1;
    }
    VITRAIL_INLINE void next() {
      __builtin_prefetch(at, 0, 2);  // into the second cache: the nearest one is full of this tile
      at += step;
    }
  };

  /// M rows × N registers over all of k.
  template <int M, int N>
  VITRAIL_INLINE static void multiply(Sums<M, N>& sum, const std::uint8_t* a, std::size_t lda_bytes,
                                      const std::int8_t* b, int k, Fetch& fetch) {
    Fetch f = fetch;
    unroll<M * N>([&](auto i) __attribute__((always_inline)) { sum[i / N][i % N] = S::zero(); });
    for (int i = 0; i < k; i += 4, b += PackedS8::panel * 4) {
      f.next();
      V column[N];
      unroll<N>([&](auto j) __attribute__((always_inline)) { column[j] = S::load(b + j * sizeof(V)); });
      unroll<M>([&](auto m) __attribute__((always_inline)) {
        const V four = S::broadcast(a + m * lda_bytes + i);
        unroll<N>([&](auto j) __attribute__((always_inline)) { S::multiply_add(sum[m][j], four, column[j]); });
      });
      unroll<N>([&](auto j) __attribute__((always_inline)) {
        const V& kept = column[j];  // Clang does not see in an asm what a lambda captures
        VITRAIL_KEEP(kept);
      });
    }
    fetch = f;
  }

  template <int M, int N>
  VITRAIL_TILE static void multiply_store(const std::uint8_t* a, std::size_t lda_bytes, const std::int8_t* b, int k,
                                          Fetch& fetch, std::int32_t* acc, std::size_t ldacc) {
    Sums<M, N> sum;
    multiply<M, N>(sum, a, lda_bytes, b, k, fetch);
    unroll<M * N>([&](auto i) __attribute__((always_inline)) {
      S::store(acc + i / N * ldacc + i % N * lanes, sum[i / N][i % N]);
    });
  }

  static void gemm_u8s8(const GemmU8S8Tile& t) {
    constexpr LayoutS8 layout;
    constexpr int sixteens = strip / 16;
    Fetch fetch(t);
    in_blocks<sixteens>(round_up(t.cols, 16) / 16, [&](auto count, int first) {
      constexpr int N = count * per_sixteen;
      const int n = 16 * first;
      const std::int8_t* b = t.b + layout.at(n, 0, t.k_padded);
      // Of half a strip twice as many rows, or each sum would wait for its last one.
      in_blocks<2 * N <= S::registers ? 2 * S::row_block : S::row_block>(t.rows, [&](auto M, int m) {
        multiply_store<M, N>(t.a + m * t.lda_bytes, t.lda_bytes, b, t.k, fetch, t.acc + m * t.ldacc + n, t.ldacc);
      });
    });
  }

  /// −zero_point · col_sum as two products of 16 bits: exact while k ≤ largest_k.
  static constexpr int largest_k = 32767 * 128 / 127;
  static std::int32_t row_factors(std::int32_t zero_point) {
    return (-zero_point & 0xffff) | -zero_point * 128 * 65536;
  }
  static std::int32_t column_factors(std::int32_t sum) { return (sum & 127) | (sum >> 7) * 65536; }

  /// What finish_s32 is given, from one row and column on.
  struct Finish {
    const std::int32_t *row_factors, *column_factors;
    const float *row_scale, *col_scale, *bias, *residual;
    std::size_t ld_residual;
    float* dst;
    std::size_t ld_dst;

    Finish at(int m, int n) const {
      return {row_factors + m, column_factors + n,
              row_scale + m,   col_scale + n,
              bias + n,        residual ? residual + m * ld_residual + n : nullptr,
              ld_residual,     dst + m * ld_dst + n,
              ld_dst};
    }
  };

  /// M rows × a strip, finished while their sums are in registers and the next strip's multiplications begin.
  template <int M, bool has_residual>
  VITRAIL_TILE static void multiply_finish(const std::uint8_t* a, std::size_t lda_bytes, const std::int8_t* b, int k,
                                           Fetch& fetch, const Finish& finish) {
    using A = typename S::Arch;
    using F = xsimd::batch<float, A>;
    Sums<M, S::registers> sum;
    multiply<M, S::registers>(sum, a, lda_bytes, b, k, fetch);
    const Finish f = finish;  // a copy, which no store to dst can change
    unroll<S::registers>([&](auto j) __attribute__((always_inline)) {
      constexpr int n = j * lanes;
      const V factors = S::load(f.column_factors + n);
      const F col_scale = F::load_unaligned(f.col_scale + n), bias = F::load_unaligned(f.bias + n);
      unroll<M>([&](auto m) __attribute__((always_inline)) {
        S::multiply_add_words(sum[m][j], f.row_factors + m, factors);
        const F scale = F(f.row_scale[m]) * col_scale;
        F y = simd::fma_batch<A>(xsimd::to_float(xsimd::batch<std::int32_t, A>(sum[m][j])), scale, bias);
        if constexpr (has_residual) y = F::load_unaligned(f.residual + m * f.ld_residual + n) + y;
        y.store_unaligned(f.dst + m * f.ld_dst + n);
      });
    });
  }

  template <bool has_residual>
  static void linear_strips(const GemmU8S8Tile& t, const Finish& finish) {
    constexpr LayoutS8 layout;
    Fetch fetch(t);
    for (int n = 0; n < t.cols; n += strip) {
      const std::int8_t* b = t.b + layout.at(n, 0, t.k_padded);
      in_blocks<S::row_block>(t.rows, [&](auto M, int m) {
        multiply_finish<M, has_residual>(t.a + m * t.lda_bytes, t.lda_bytes, b, t.k, fetch, finish.at(m, n));
      });
    }
  }

  static bool linear_at_once(const GemmU8S8Tile& t, const Dequant& d, const Epilogue& e, float* dst,
                             std::size_t ld_dst) {
    if (t.cols % strip != 0 || t.k > largest_k || e.activation != Activation::none) return false;
    std::int32_t rows[Kernels::max_tile_rows];
    float row_scale[Kernels::max_tile_rows];
    alignas(64) std::int32_t columns[Kernels::max_tile_cols];
    for (int m = 0; m < t.rows; ++m) {
      rows[m] = row_factors(d.row[m].zero_point);
      row_scale[m] = d.row[m].scale;
    }
    for (int n = 0; n < t.cols; ++n) columns[n] = column_factors(d.col_sum[n]);
    const Finish finish{rows,       columns,       row_scale, d.col_scale, simd::bias_of(e),
                        e.residual, e.ld_residual, dst,       ld_dst};
    e.residual ? linear_strips<true>(t, finish) : linear_strips<false>(t, finish);
    return true;
  }

  static std::uint64_t peak_u8s8(int rounds) {
    constexpr int sums = S::row_block * S::registers;
    constexpr std::uint32_t threes = 0x03030303;
    const V a = S::broadcast(&threes), b = a;
    V sum[sums];
    unroll<sums>([&](auto i) __attribute__((always_inline)) { sum[i] = S::zero(); });
    for (int r = 0; r < rounds; ++r)
      unroll<sums>([&](auto i) __attribute__((always_inline)) { S::multiply_add(sum[i], a, b); });
    return static_cast<std::uint64_t>(rounds) * sums * sizeof(V);
  }

  static void install(Kernels& k, const char* name) {
    k.gemm_u8s8 = gemm_u8s8;
    k.linear_at_once = linear_at_once;
    k.peak_u8s8 = peak_u8s8;
    k.gemm_tile = {.row_unit = S::row_block, .max_weight_bytes = 192 * 1024};
    k.gemm_name = name;
  }
};

}  // namespace vitrail::x86
