// int8 GEMM tile for SSE4.2. Exact: bytes are widened to 16 bits and multiplied with pmaddwd, because pmaddubsw would
// saturate (2 · 255 · 127 > 32767).
#ifndef __SSE4_2__
#error "compile with -msse4.2"
#endif
#include <nmmintrin.h>

#include "platforms/registers.hpp"
#include "platforms/x86/x86.hpp"

namespace vitrail::x86 {
namespace {

// A block of k is widened once into scratch and used by every row and column of the tile; its sums stay exact in any
// order.
constexpr int k_block = 512;
constexpr int strip = 4;      // columns: two registers of two columns × four k
constexpr int row_block = 4;  // 4 rows × 2 registers = 8 of the 16 registers hold sums
constexpr int scratch_rows = Kernels::max_tile_rows;
static_assert((scratch_rows + strip) * k_block * 2 <= Kernels::gemm_scratch_bytes);

/// 16 bits per element, so that pmaddwd multiplies pairs of k.
void widen_rows(const std::uint8_t* a, std::size_t lda_bytes, int rows, int k, std::int16_t* dst) {
  for (int m = 0; m < rows; ++m)
    for (int i = 0; i < k; i += 8) {
      const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(a + m * lda_bytes + i));
      _mm_store_si128(reinterpret_cast<__m128i*>(dst + m * k_block + i), _mm_cvtepu8_epi16(bytes));
    }
}

/// Four columns of one panel: [k/4][4][4] as two registers per group of four k.
void widen_strip(const std::int8_t* b, int k, std::int16_t* dst) {
  for (int i = 0; i < k; i += 4, b += PackedS8::panel * 4, dst += strip * 4) {
    const __m128i bytes = _mm_load_si128(reinterpret_cast<const __m128i*>(b));
    _mm_store_si128(reinterpret_cast<__m128i*>(dst), _mm_cvtepi8_epi16(bytes));
    _mm_store_si128(reinterpret_cast<__m128i*>(dst + 8), _mm_cvtepi8_epi16(_mm_srli_si128(bytes, 8)));
  }
}

/// M rows × 4 columns over one block of k. Each lane holds half of a column's sum (two of every four k).
template <int M>
void multiply(const std::int16_t* a, const std::int16_t* b, int k, bool first, std::int32_t* acc, std::size_t ldacc) {
  __m128i sum[M][2];
  unroll<M>([&](auto m) __attribute__((always_inline)) { sum[m][0] = sum[m][1] = _mm_setzero_si128(); });
  for (int i = 0; i < k; i += 4, b += strip * 4) {
    const __m128i b0 = _mm_load_si128(reinterpret_cast<const __m128i*>(b));
    const __m128i b1 = _mm_load_si128(reinterpret_cast<const __m128i*>(b + 8));
    unroll<M>([&](auto m) __attribute__((always_inline)) {
      const __m128i four = _mm_castpd_si128(_mm_set1_pd(load_as<double>(a + m * k_block + i)));
      sum[m][0] = _mm_add_epi32(sum[m][0], _mm_madd_epi16(four, b0));
      sum[m][1] = _mm_add_epi32(sum[m][1], _mm_madd_epi16(four, b1));
      VITRAIL_IN_REGISTER(sum[m][0]);
      VITRAIL_IN_REGISTER(sum[m][1]);
    });
  }
  unroll<M>([&](auto m) __attribute__((always_inline)) {
    __m128i y = _mm_hadd_epi32(sum[m][0], sum[m][1]);
    auto* dst = reinterpret_cast<__m128i*>(acc + m * ldacc);
    if (!first) y = _mm_add_epi32(y, _mm_load_si128(dst));
    _mm_store_si128(dst, y);
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

void install_gemm_sse4_2(Kernels& k) {
  k.gemm_u8s8 = gemm_u8s8;
  k.gemm_row_unit = row_block;
  k.gemm_name = "sse4_2";
}

}  // namespace vitrail::x86
