#ifndef __SSE4_2__
#error "compile with -msse4.2"
#endif
#include <nmmintrin.h>

#include "platforms/x86/gemm_u8s8_widened.hpp"
#include "platforms/x86/x86.hpp"

namespace vitrail::x86 {
namespace {

struct Sse {
  using V = __m128i;
  static constexpr int row_block = 4;  // 4 rows × 2 registers = 8 of the 16 registers hold sums
  static V zero() { return _mm_setzero_si128(); }
  static V load(const void* src) { return _mm_load_si128(static_cast<const __m128i*>(src)); }
  static void store(void* dst, V x) { _mm_store_si128(static_cast<__m128i*>(dst), x); }
  static V widen(const std::uint8_t* src) {
    return _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(src)));
  }
  static V widen(const std::int8_t* src) {
    return _mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(src)));
  }
  static V broadcast(const std::int16_t* four) { return _mm_castpd_si128(_mm_set1_pd(load_as<double>(four))); }
  static V multiply(V a, V b) { return _mm_madd_epi16(a, b); }
  static void add(V& sum, V x) { __asm__ volatile("paddd %1, %0" : "+x"(sum) : "x"(x)); }
  static V fold(V x, V y) { return _mm_hadd_epi32(x, y); }
};

}  // namespace

void install_gemm_sse4_2(Kernels& k) { Widened<Sse>::install(k, "sse4_2"); }

}  // namespace vitrail::x86
