#if !defined(__AVX2__) || !defined(__FMA__)
#error "compile with -mavx2 -mfma"
#endif
#include <immintrin.h>

#include "platforms/x86/gemm_u8s8_vnni.hpp"
#include "platforms/x86/x86.hpp"

namespace vitrail::x86 {
namespace {

struct AvxVnni {
  using Arch = xsimd::fma3<xsimd::avx2>;
  using V = __m256i;
  static constexpr int row_block = 6, registers = 2;  // 12 of the 16 registers hold sums
  static V zero() { return _mm256_setzero_si256(); }
  static V load(const void* src) { return _mm256_load_si256(static_cast<const __m256i*>(src)); }
  static void store(void* dst, V x) { _mm256_store_si256(static_cast<__m256i*>(dst), x); }
  static V broadcast(const void* four) { return _mm256_set1_epi32(load_as<int>(four)); }
  static void multiply_add(V& sum, V a, V b) {
    __asm__ volatile("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
  }
  static void multiply_add_words(V& sum, const std::int32_t* a, V b) {
    __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sum) : "x"(b), "x"(broadcast(a)));
  }
};

}  // namespace

void install_gemm_avx_vnni(Kernels& k) { Vnni<AvxVnni>::install(k, "avx_vnni"); }

}  // namespace vitrail::x86
