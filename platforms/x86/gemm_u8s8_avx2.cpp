#ifndef __AVX2__
#error "compile with -mavx2"
#endif
#include <immintrin.h>

#include "platforms/x86/gemm_u8s8_widened.hpp"
#include "platforms/x86/x86.hpp"

namespace vitrail::x86 {
namespace {

struct Avx2 {
  using V = __m256i;
  static constexpr int row_block = 6;  // 6 rows × 2 registers = 12 of the 16 registers hold sums
  static V zero() { return _mm256_setzero_si256(); }
  static V load(const void* src) { return _mm256_load_si256(static_cast<const __m256i*>(src)); }
  static void store(void* dst, V x) { _mm256_store_si256(static_cast<__m256i*>(dst), x); }
  static V widen(const std::uint8_t* src) {
    return _mm256_cvtepu8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(src)));
  }
  static V widen(const std::int8_t* src) {
    return _mm256_cvtepi8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(src)));
  }
  static V broadcast(const std::int16_t* four) { return _mm256_set1_epi64x(load_as<long long>(four)); }
  static V multiply(V a, V b) { return _mm256_madd_epi16(a, b); }
  /// GCC would put the result elsewhere and move it back: a third more instructions in a loop the front end limits.
  static void add(V& sum, V x) { __asm__ volatile("vpaddd %1, %0, %0" : "+x"(sum) : "x"(x)); }
  /// hadd gives columns 0 1 4 5 | 2 3 6 7.
  static V fold(V x, V y) { return _mm256_permute4x64_epi64(_mm256_hadd_epi32(x, y), 0b11'01'10'00); }
};

}  // namespace

void install_gemm_avx2(Kernels& k) { Widened<Avx2>::install(k, "avx2"); }

}  // namespace vitrail::x86
