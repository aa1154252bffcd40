// int8 GEMM tile for AVX-VNNI (256 bits): vpdpbusd multiplies u8 × s8 and adds four products to an s32 without
// saturating.
#ifndef __AVXVNNI__
#error "compile with -mavxvnni"
#endif
#include <immintrin.h>

#include "platforms/registers.hpp"
#include "platforms/tile.hpp"
#include "platforms/x86/x86.hpp"

namespace vitrail::x86 {
namespace {

constexpr int strip = 16;     // columns: two registers of eight
constexpr int row_block = 6;  // 6 rows × 2 registers = 12 of the 16 registers hold sums

/// vpdpbusd in place: GCC would move sums from register to register between intrinsics.
void multiply_add(__m256i& sum, __m256i a, __m256i b) {
  __asm__ volatile("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
}

/// M rows × 16 columns over all of k.
template <int M>
VITRAIL_TILE void multiply(const std::uint8_t* a, std::size_t lda_bytes, const std::int8_t* b, int k, std::int32_t* acc,
                           std::size_t ldacc) {
  __m256i sum[M][2];
  unroll<M>([&](auto m) __attribute__((always_inline)) { sum[m][0] = sum[m][1] = _mm256_setzero_si256(); });
  for (int i = 0; i < k; i += 4, b += PackedS8::panel * 4) {
    const __m256i b0 = _mm256_load_si256(reinterpret_cast<const __m256i*>(b));
    const __m256i b1 = _mm256_load_si256(reinterpret_cast<const __m256i*>(b + 32));
    unroll<M>([&](auto m) __attribute__((always_inline)) {
      const __m256i four = _mm256_set1_epi32(load_as<int>(a + m * lda_bytes + i));
      multiply_add(sum[m][0], four, b0);
      multiply_add(sum[m][1], four, b1);
    });
    VITRAIL_KEEP(b0);
    VITRAIL_KEEP(b1);
  }
  unroll<M>([&](auto m) __attribute__((always_inline)) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(acc + m * ldacc), sum[m][0]);
    _mm256_store_si256(reinterpret_cast<__m256i*>(acc + m * ldacc + 8), sum[m][1]);
  });
}

std::uint64_t peak_u8s8(int rounds) {
  constexpr int sums = 12;
  const __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(5);
  __m256i sum[sums];
  unroll<sums>([&](auto i) __attribute__((always_inline)) { sum[i] = _mm256_setzero_si256(); });
  for (int r = 0; r < rounds; ++r)
    unroll<sums>([&](auto i) __attribute__((always_inline)) { multiply_add(sum[i], a, b); });
  return static_cast<std::uint64_t>(rounds) * sums * 32;
}

void gemm_u8s8(const GemmU8S8Tile& t) {
  constexpr LayoutS8 layout;
  for (int n = 0; n < t.cols; n += strip) {
    const std::int8_t* b = t.b + layout.at(n, 0, t.k_padded);
    in_blocks<row_block>(t.rows, [&](auto M, int m) {
      multiply<M>(t.a + m * t.lda_bytes, t.lda_bytes, b, t.k, t.acc + m * t.ldacc + n, t.ldacc);
    });
  }
}

}  // namespace

void install_gemm_avx_vnni(Kernels& k) {
  k.gemm_u8s8 = gemm_u8s8;
  k.peak_u8s8 = peak_u8s8;
  k.gemm_row_unit = row_block;
  k.gemm_name = "avx_vnni";
}

}  // namespace vitrail::x86
