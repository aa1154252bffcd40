// int8 GEMM tile for AVX-512 without VNNI (Skylake-X). Exact: bytes are widened to 16 bits and multiplied with
// vpmaddwd, because vpmaddubsw would saturate (2 · 255 · 127 > 32767).
#ifndef __AVX512BW__
#error "compile with -mavx512f -mavx512bw"
#endif
#include <immintrin.h>

#include "platforms/registers.hpp"
#include "platforms/x86/x86.hpp"

namespace vitrail::x86 {
namespace {

// A block of k is widened once into scratch and used by every row and column of the tile; its sums stay exact in any
// order.
constexpr int k_block = 512;
constexpr int strip = 16;     // columns: two registers of eight columns × four k
constexpr int row_block = 8;  // 8 rows × 2 registers = 16 of the 32 registers hold sums
constexpr int scratch_rows = Kernels::max_tile_rows;
static_assert((scratch_rows + strip) * k_block * 2 <= Kernels::gemm_scratch_bytes);

/// 16 bits per element, so that vpmaddwd multiplies pairs of k.
void widen_rows(const std::uint8_t* a, std::size_t lda_bytes, int rows, int k, std::int16_t* dst) {
  for (int m = 0; m < rows; ++m)
    for (int i = 0; i < k; i += 32) {
      const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a + m * lda_bytes + i));
      _mm512_store_si512(dst + m * k_block + i, _mm512_cvtepu8_epi16(bytes));
    }
}

/// Sixteen columns of one panel: [k/4][16][4] as two registers per group of four k.
void widen_strip(const std::int8_t* b, int k, std::int16_t* dst) {
  for (int i = 0; i < k; i += 4, b += PackedS8::panel * 4, dst += strip * 4) {
    _mm512_store_si512(dst, _mm512_cvtepi8_epi16(_mm256_load_si256(reinterpret_cast<const __m256i*>(b))));
    _mm512_store_si512(dst + 32, _mm512_cvtepi8_epi16(_mm256_load_si256(reinterpret_cast<const __m256i*>(b + 32))));
  }
}

/// M rows × 16 columns over one block of k. Each lane holds half of a column's sum (two of every four k).
template <int M>
void multiply(const std::int16_t* a, const std::int16_t* b, int k, bool first, std::int32_t* acc, std::size_t ldacc) {
  __m512i sum[M][2];
  unroll<M>([&](auto m) __attribute__((always_inline)) { sum[m][0] = sum[m][1] = _mm512_setzero_si512(); });
  for (int i = 0; i < k; i += 4, b += strip * 4) {
    const __m512i b0 = _mm512_load_si512(b), b1 = _mm512_load_si512(b + 32);
    unroll<M>([&](auto m) __attribute__((always_inline)) {
      const __m512i four = _mm512_set1_epi64(load_as<long long>(a + m * k_block + i));
      sum[m][0] = _mm512_add_epi32(sum[m][0], _mm512_madd_epi16(four, b0));
      sum[m][1] = _mm512_add_epi32(sum[m][1], _mm512_madd_epi16(four, b1));
      VITRAIL_IN_REGISTER(sum[m][0]);
      VITRAIL_IN_REGISTER(sum[m][1]);
    });
  }
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
  unroll<M>([&](auto m) __attribute__((always_inline)) {
    __m512i y = _mm512_add_epi32(_mm512_permutex2var_epi32(sum[m][0], even, sum[m][1]),
                                 _mm512_permutex2var_epi32(sum[m][0], odd, sum[m][1]));
    if (!first) y = _mm512_add_epi32(y, _mm512_load_si512(acc + m * ldacc));
    _mm512_store_si512(acc + m * ldacc, y);
  });
}

template <int M>
void multiply_rest(int rows, const std::int16_t* a, const std::int16_t* b, int k, bool first, std::int32_t* acc,
                   std::size_t ldacc) {
  if constexpr (M > 0) {
    if (rows == M) return multiply<M>(a, b, k, first, acc, ldacc);
    multiply_rest<M - 1>(rows, a, b, k, first, acc, ldacc);
  }
}

void gemm_u8s8(const GemmU8S8Tile& t) {
  auto* a = static_cast<std::int16_t*>(t.scratch);
  auto* b = a + scratch_rows * k_block;
  for (int k0 = 0; k0 < t.k_padded; k0 += k_block) {
    const int k = t.k_padded - k0 < k_block ? t.k_padded - k0 : k_block;
    widen_rows(t.a + k0, t.lda_bytes, t.rows, k, a);
    for (int n = 0; n < t.panels * PackedS8::panel; n += strip) {
      const int panel = n / PackedS8::panel * PackedS8::panel;
      widen_strip(t.b + static_cast<std::size_t>(panel) * t.k_padded + static_cast<std::size_t>(k0) * PackedS8::panel +
                      (n - panel) * 4,
                  k, b);
      int m = 0;
      for (; m + row_block <= t.rows; m += row_block)
        multiply<row_block>(a + m * k_block, b, k, k0 == 0, t.acc + m * t.ldacc + n, t.ldacc);
      multiply_rest<row_block - 1>(t.rows - m, a + m * k_block, b, k, k0 == 0, t.acc + m * t.ldacc + n, t.ldacc);
    }
  }
}

}  // namespace

void install_gemm_avx512(Kernels& k) {
  k.gemm_u8s8 = gemm_u8s8;
  k.gemm_row_unit = row_block;
  k.gemm_name = "avx512";
}

}  // namespace vitrail::x86
