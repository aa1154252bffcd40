// For AVX-512 without VNNI (Skylake-X).
#ifndef __AVX512BW__
#error "compile with -mavx512f -mavx512bw"
#endif
#include <immintrin.h>

#include "platforms/x86/gemm_u8s8_widened.hpp"
#include "platforms/x86/x86.hpp"

namespace vitrail::x86 {
namespace {

struct Avx512 {
  using V = __m512i;
  static constexpr int row_block = 8;  // 8 rows × 2 registers = 16 of the 32 registers hold sums
  static V zero() { return _mm512_setzero_si512(); }
  static V load(const void* src) { return _mm512_load_si512(src); }
  static void store(void* dst, V x) { _mm512_store_si512(dst, x); }
  static V widen(const std::uint8_t* src) {
    return _mm512_cvtepu8_epi16(_mm256_load_si256(reinterpret_cast<const __m256i*>(src)));
  }
  static V widen(const std::int8_t* src) {
    return _mm512_cvtepi8_epi16(_mm256_load_si256(reinterpret_cast<const __m256i*>(src)));
  }
  static V broadcast(const std::int16_t* four) { return _mm512_set1_epi64(load_as<long long>(four)); }
  static V multiply(V a, V b) { return _mm512_madd_epi16(a, b); }
  static void add(V& sum, V x) { __asm__ volatile("vpaddd %1, %0, %0" : "+v"(sum) : "v"(x)); }
  static V fold(V x, V y) {
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    return _mm512_add_epi32(_mm512_permutex2var_epi32(x, even, y), _mm512_permutex2var_epi32(x, odd, y));
  }
};

}  // namespace

void install_gemm_avx512(Kernels& k) { Widened<Avx512>::install(k, "avx512"); }

}  // namespace vitrail::x86
