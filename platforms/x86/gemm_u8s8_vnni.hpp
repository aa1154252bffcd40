// int8 GEMM tile for x86 with VNNI, written once for 256 and 512 bits: vpdpbusd multiplies u8 × s8 and adds four
// products to an s32 without saturating. VNNI's instructions are written as assembly, so that these files share the
// flags, and with them the templates, of simd_avx2.cpp and simd_avx512.cpp.
#pragma once

#include "platforms/registers.hpp"
#include "platforms/tile.hpp"
#include "platforms/x86/finish_vnni.hpp"
#include "platforms/x86/x86.hpp"
#include "runtime/kernels.hpp"

namespace vitrail::x86 {

/// @tparam S  an instruction set, a type local to its file so that nothing compiled for it is shared: Arch, what xsimd
///            calls it; V, a register of 32-bit lanes; row_block rows × registers, whose sums stay in registers; zero,
///            load, store, broadcast (four bytes), multiply_add (vpdpbusd) and multiply_add_words (vpdpwssd of a
///            broadcast s32 and a register), in place: GCC would move sums from register to register between intrinsics
template <class S>
struct Vnni {
  using V = typename S::V;
  using Finish = FinishVnni<S>;
  template <int M, int N>
  using Sums = V[M][N];
  static constexpr int lanes = sizeof(V) / 4, per_sixteen = 16 / lanes;
  static constexpr int strip = S::registers * lanes;  ///< columns that are multiplied together
  static constexpr LayoutS8 layout{strip, 4};         ///< so that they come in the order in which they lie

  /// Fetches a tile's share of what comes after it, some bytes with every four of k, so that it never waits for many
  /// lines at once. Few rows have no time for it: where a step would be two lines or more, it stays where it is.
  struct Fetch {
    const std::int8_t* at;
    std::ptrdiff_t step;

    explicit Fetch(const GemmU8S8Tile& t) : at(t.ahead.data ? t.ahead.data : t.b), step(0) {
      const int blocks = round_up(t.cols, strip) / strip * (round_up(t.rows, S::row_block) / S::row_block);
      if (t.ahead.data) step = static_cast<std::ptrdiff_t>(t.ahead.bytes) / (blocks * (round_up(t.k, 4) / 4)) + 1;
      if (step >= 2 * 64) step = 0;
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
    for (int i = 0; i < k; i += 4, b += strip * 4) {
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

  /// M rows × a strip, finished while their sums are in registers and the next strip's multiplications begin.
  template <int M, bool has_residual>
  VITRAIL_TILE static void multiply_finish(const std::uint8_t* a, std::size_t lda_bytes, const std::int8_t* b, int k,
                                           Fetch& fetch, const typename Finish::From& from) {
    Sums<M, S::registers> sum;
    multiply<M, S::registers>(sum, a, lda_bytes, b, k, fetch);
    const typename Finish::From f = from;  // a copy, which no store to dst can change
    Finish::template finish<M, S::registers, has_residual>(
        f, [&](auto m, auto j) __attribute__((always_inline)) { return sum[m][j]; });
  }

  static bool linear_at_once(const GemmU8S8Tile& t, const Dequant& d, const Epilogue& e, float* dst,
                             std::size_t ld_dst) {
    if (!Finish::serves(t, e)) return false;
    Finish::prepare(t, d, e, dst, ld_dst, [&](auto has_residual, const typename Finish::From& from) {
      Fetch fetch(t);
      for (int n = 0; n < t.cols; n += strip) {
        const std::int8_t* b = t.b + layout.at(n, 0, t.k_padded);
        in_blocks<S::row_block>(t.rows, [&](auto M, int m) {
          multiply_finish<M, has_residual>(t.a + m * t.lda_bytes, t.lda_bytes, b, t.k, fetch, from.at(m, n));
        });
      }
    });
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
    k.gemm_tile = {.row_unit = S::row_block, .max_rows = 9 * S::row_block, .max_weight_bytes = tile_weight_bytes};
    k.layout_s8 = layout;
    k.gemm_name = name;
  }
};

}  // namespace vitrail::x86
