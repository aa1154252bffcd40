// Registers of 512 bits, for the products that have them.
#pragma once

#if !defined(__AVX512F__) || !defined(__AVX512BW__)
#error "compile with -mavx512f -mavx512bw -mavx512dq -mavx512cd -mavx512vl"
#endif
#include <immintrin.h>

#include "platforms/registers.hpp"
#include "platforms/simd/vec16.hpp"

namespace vitrail::x86 {

/// @tparam File  a type local to a file, so that nothing compiled for it is shared
template <class File>
struct Zmm {
  using Arch = xsimd::avx512bw;
  using V = __m512i;
  static V zero() { return _mm512_setzero_si512(); }
  static V load(const void* src) { return _mm512_load_si512(src); }
  static void store(void* dst, V x) { _mm512_store_si512(dst, x); }
  static V broadcast(const void* four) { return _mm512_set1_epi32(load_as<int>(four)); }
  static void multiply_add(V& sum, V a, V b) { __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b)); }
  static void multiply_add_words(V& sum, const std::int32_t* a, V b) {
    __asm__("vpdpwssd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(b), "m"(*a));
  }
};

}  // namespace vitrail::x86
