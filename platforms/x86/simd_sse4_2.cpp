#ifndef __SSE4_2__
#error "compile with -msse4.2"
#endif
#include "platforms/simd/install.hpp"
#include "platforms/x86/x86.hpp"

namespace vitrail::x86 {

// Without an fma instruction the exact one is computed (vec16.hpp): the same bits as everywhere, and a slow f32
// product.
void install_simd_sse4_2(Kernels& k) { simd::install<xsimd::sse4_2, 2>(k, "sse4_2"); }

}  // namespace vitrail::x86
