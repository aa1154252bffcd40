// int8 GEMM tile for AVX512-VNNI: vpdpbusd on 512 bits, sixteen columns × four k per register, a panel of 64 columns
// at once.
#ifndef __AVX512VNNI__
#error "compile with -mavx512vnni"
#endif
#include <immintrin.h>

#include "platforms/registers.hpp"
#include "platforms/tile.hpp"
#include "platforms/x86/x86.hpp"

namespace vitrail::x86 {
namespace {

// 6 rows × 4 registers = 24 of the 32 registers hold sums, enough to hide vpdpbusd's latency.
constexpr int row_block = 6, registers = 4;

/// vpdpbusd in place: GCC would move sums from register to register between intrinsics.
void multiply_add(__m512i& sum, __m512i a, __m512i b) {
  __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
}

/// M rows × 16 · N columns over all of k.
template <int M, int N>
VITRAIL_TILE void multiply(const std::uint8_t* a, std::size_t lda_bytes, const std::int8_t* b, int k, std::int32_t* acc,
                           std::size_t ldacc) {
  __m512i sum[M][N];
  unroll<M * N>([&](auto i) __attribute__((always_inline)) { sum[i / N][i % N] = _mm512_setzero_si512(); });
  for (int i = 0; i < k; i += 4, b += PackedS8::panel * 4) {
    __m512i column[N];
    unroll<N>([&](auto j) __attribute__((always_inline)) { column[j] = _mm512_load_si512(b + 64 * j); });
    unroll<M>([&](auto m) __attribute__((always_inline)) {
      const __m512i four = _mm512_set1_epi32(load_as<int>(a + m * lda_bytes + i));
      unroll<N>([&](auto j) __attribute__((always_inline)) { multiply_add(sum[m][j], four, column[j]); });
    });
    unroll<N>([&](auto j) __attribute__((always_inline)) { VITRAIL_KEEP(column[j]); });
  }
  unroll<M * N>([&](auto i) __attribute__((always_inline)) {
    _mm512_store_si512(acc + i / N * ldacc + i % N * 16, sum[i / N][i % N]);
  });
}

std::uint64_t peak_u8s8(int rounds) {
  constexpr int sums = row_block * registers;
  const __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(5);
  __m512i sum[sums];
  unroll<sums>([&](auto i) __attribute__((always_inline)) { sum[i] = _mm512_setzero_si512(); });
  for (int r = 0; r < rounds; ++r)
    unroll<sums>([&](auto i) __attribute__((always_inline)) { multiply_add(sum[i], a, b); });
  return static_cast<std::uint64_t>(rounds) * sums * 64;
}

void gemm_u8s8(const GemmU8S8Tile& t) {
  constexpr LayoutS8 layout;
  in_blocks<registers>(round_up(t.cols, 16) / 16, [&](auto N, int r) {
    const int n = 16 * r;
    const std::int8_t* b = t.b + layout.at(n, 0, t.k_padded);
    // Of half a panel twice as many rows, or each sum would wait for its last one.
    in_blocks<N <= registers / 2 ? 2 * row_block : row_block>(t.rows, [&](auto M, int m) {
      multiply<M, N>(t.a + m * t.lda_bytes, t.lda_bytes, b, t.k, t.acc + m * t.ldacc + n, t.ldacc);
    });
  });
}

}  // namespace

void install_gemm_avx512_vnni(Kernels& k) {
  k.gemm_u8s8 = gemm_u8s8;
  k.peak_u8s8 = peak_u8s8;
  k.gemm_row_unit = row_block;
  k.gemm_name = "avx512_vnni";
}

}  // namespace vitrail::x86
