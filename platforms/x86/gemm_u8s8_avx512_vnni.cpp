// int8 GEMM tile for AVX512-VNNI: vpdpbusd on 512 bits, sixteen columns × four k per register, a whole panel of 64
// columns at once.
#ifndef __AVX512VNNI__
#error "compile with -mavx512vnni"
#endif
#include <immintrin.h>

#include "platforms/registers.hpp"
#include "platforms/x86/x86.hpp"

namespace vitrail::x86 {
namespace {

constexpr int row_block =
    6;  // 6 rows × 4 registers = 24 of the 32 registers hold sums, enough to hide vpdpbusd's latency

/// M rows × 64 columns over all of k.
template <int M>
void multiply(const std::uint8_t* a, std::size_t lda_bytes, const std::int8_t* b, int k, std::int32_t* acc,
              std::size_t ldacc) {
  __m512i sum[M][4];
  unroll<4 * M>([&](auto i) __attribute__((always_inline)) { sum[i / 4][i % 4] = _mm512_setzero_si512(); });
  for (int i = 0; i < k; i += 4, b += PackedS8::panel * 4) {
    __m512i column[4];
    unroll<4>([&](auto j) __attribute__((always_inline)) { column[j] = _mm512_load_si512(b + 64 * j); });
    unroll<M>([&](auto m) __attribute__((always_inline)) {
      const __m512i four = _mm512_set1_epi32(load_as<int>(a + m * lda_bytes + i));
      unroll<4>([&](auto j) __attribute__((always_inline)) {
        sum[m][j] = _mm512_dpbusd_epi32(sum[m][j], four, column[j]);
        VITRAIL_IN_REGISTER(sum[m][j]);
      });
    });
  }
  unroll<4 * M>([&](auto i) __attribute__((always_inline)) {
    _mm512_store_si512(acc + i / 4 * ldacc + i % 4 * 16, sum[i / 4][i % 4]);
  });
}

template <int M>
void multiply_rest(int rows, const std::uint8_t* a, std::size_t lda_bytes, const std::int8_t* b, int k,
                   std::int32_t* acc, std::size_t ldacc) {
  if constexpr (M > 0) {
    if (rows == M) return multiply<M>(a, lda_bytes, b, k, acc, ldacc);
    multiply_rest<M - 1>(rows, a, lda_bytes, b, k, acc, ldacc);
  }
}

std::uint64_t peak_u8s8(int rounds) {
  constexpr int sums = 24;
  const __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(5);
  __m512i sum[sums];
  unroll<sums>([&](auto i) __attribute__((always_inline)) { sum[i] = _mm512_setzero_si512(); });
  for (int r = 0; r < rounds; ++r)
    unroll<sums>([&](auto i) __attribute__((always_inline)) {
      sum[i] = _mm512_dpbusd_epi32(sum[i], a, b);
      VITRAIL_IN_REGISTER(sum[i]);
    });
  return static_cast<std::uint64_t>(rounds) * sums * 64;
}

void gemm_u8s8(const GemmU8S8Tile& t) {
  for (int p = 0; p < t.panels; ++p) {
    const std::int8_t* b = t.b + static_cast<std::size_t>(p) * PackedS8::panel * t.k_padded;
    std::int32_t* acc = t.acc + p * PackedS8::panel;
    int m = 0;
    for (; m + row_block <= t.rows; m += row_block)
      multiply<row_block>(t.a + m * t.lda_bytes, t.lda_bytes, b, t.k_padded, acc + m * t.ldacc, t.ldacc);
    multiply_rest<row_block - 1>(t.rows - m, t.a + m * t.lda_bytes, t.lda_bytes, b, t.k_padded, acc + m * t.ldacc,
                                 t.ldacc);
  }
}

}  // namespace

void install_gemm_avx512_vnni(Kernels& k) {
  k.gemm_u8s8 = gemm_u8s8;
  k.peak_u8s8 = peak_u8s8;
  k.gemm_row_unit = row_block;
  k.gemm_name = "avx512_vnni";
}

}  // namespace vitrail::x86
