#if !defined(__AVX2__) || !defined(__FMA__)
#error "compile with -mavx2 -mfma"
#endif
#include "platforms/simd/install.hpp"
#include "platforms/x86/x86.hpp"

namespace vitrail::x86 {

// Six rows × two registers of the f32 product leave four of the sixteen registers for operands.
void install_simd_avx2(Kernels& k) { simd::install<xsimd::fma3<xsimd::avx2>, 6>(k, "avx2"); }

}  // namespace vitrail::x86
