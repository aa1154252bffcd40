// int8 GEMM tile for AVX2 without VNNI. Exact: bytes are widened to 16 bits and multiplied with vpmaddwd, because
// vpmaddubsw would saturate (2 · 255 · 127 > 32767).
#ifndef __AVX2__
#error "compile with -mavx2"
#endif
#include <immintrin.h>

#include "platforms/registers.hpp"
#include "platforms/x86/x86.hpp"

namespace vitrail::x86 {
namespace {

// A block of k is widened once into scratch and used by every row and column of the tile; its sums stay exact in any
// order.
constexpr int k_block = 512;
constexpr int strip = 8;      // columns: two registers of four columns × four k
constexpr int row_block = 6;  // 6 rows × 2 registers = 12 of the 16 registers hold sums
constexpr int scratch_rows = Kernels::max_tile_rows;
static_assert((scratch_rows + strip) * k_block * 2 <= Kernels::gemm_scratch_bytes);

/// 16 bits per element, so that vpmaddwd multiplies pairs of k.
void widen_rows(const std::uint8_t* a, std::size_t lda_bytes, int rows, int k, std::int16_t* dst) {
  for (int m = 0; m < rows; ++m)
    for (int i = 0; i < k; i += 16) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a + m * lda_bytes + i));
      _mm256_store_si256(reinterpret_cast<__m256i*>(dst + m * k_block + i), _mm256_cvtepu8_epi16(bytes));
    }
}

/// Eight columns of one panel: [k/4][8][4] as two registers per group of four k.
void widen_strip(const std::int8_t* b, int k, std::int16_t* dst) {
  for (int i = 0; i < k; i += 4, b += PackedS8::panel * 4, dst += strip * 4) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b));
    _mm256_store_si256(reinterpret_cast<__m256i*>(dst), _mm256_cvtepi8_epi16(_mm256_castsi256_si128(bytes)));
    _mm256_store_si256(reinterpret_cast<__m256i*>(dst + 16), _mm256_cvtepi8_epi16(_mm256_extracti128_si256(bytes, 1)));
  }
}

/// sum += x, in the register where sum is. GCC would put the result elsewhere and move it back: a third more
/// instructions in a loop that the front end limits.
[[gnu::always_inline]] inline void add_in_place(__m256i& sum, __m256i x) {
  __asm__ volatile("vpaddd %1, %0, %0" : "+x"(sum) : "x"(x));
}

/// M rows × 8 columns over one block of k. Each lane holds half of a column's sum (two of every four k).
template <int M>
void multiply(const std::int16_t* a, const std::int16_t* b, int k, bool first, std::int32_t* acc, std::size_t ldacc) {
  __m256i sum[M][2];
  unroll<M>([&](auto m) __attribute__((always_inline)) { sum[m][0] = sum[m][1] = _mm256_setzero_si256(); });
  for (int i = 0; i < k; i += 4, b += strip * 4) {
    const __m256i b0 = _mm256_load_si256(reinterpret_cast<const __m256i*>(b));
    const __m256i b1 = _mm256_load_si256(reinterpret_cast<const __m256i*>(b + 16));
    unroll<M>([&](auto m) __attribute__((always_inline)) {
      const __m256i four = _mm256_set1_epi64x(load_as<long long>(a + m * k_block + i));
      add_in_place(sum[m][0], _mm256_madd_epi16(four, b0));
      add_in_place(sum[m][1], _mm256_madd_epi16(four, b1));
    });
  }
  unroll<M>([&](auto m) __attribute__((always_inline)) {
    // hadd gives columns 0 1 4 5 | 2 3 6 7
    __m256i y = _mm256_permute4x64_epi64(_mm256_hadd_epi32(sum[m][0], sum[m][1]), 0b11'01'10'00);
    auto* dst = reinterpret_cast<__m256i*>(acc + m * ldacc);
    if (!first) y = _mm256_add_epi32(y, _mm256_load_si256(dst));
    _mm256_store_si256(dst, y);
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

std::uint64_t peak_u8s8(int rounds) {
  constexpr int sums = 12;
  __m256i sum[sums], a = _mm256_set1_epi16(3), b = _mm256_set1_epi16(5);
  unroll<sums>([&](auto i) __attribute__((always_inline)) { sum[i] = _mm256_setzero_si256(); });
  for (int r = 0; r < rounds; ++r)
    unroll<sums>([&](auto i) __attribute__((always_inline)) {
      VITRAIL_IN_REGISTER(a);  // or the product would be computed once
      add_in_place(sum[i], _mm256_madd_epi16(a, b));
    });
  return static_cast<std::uint64_t>(rounds) * sums * 16;
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

void install_gemm_avx2(Kernels& k) {
  k.gemm_u8s8 = gemm_u8s8;
  k.peak_u8s8 = peak_u8s8;
  k.gemm_row_unit = row_block;
  k.gemm_name = "avx2";
}

}  // namespace vitrail::x86
