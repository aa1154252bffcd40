#ifndef __aarch64__
#error "AArch64 only: NEON of 32-bit ARM flushes denormals to zero and cannot divide, so it would give other bits"
#endif
#include "platforms/arm/arm.hpp"
#include "platforms/simd/install.hpp"

namespace vitrail::arm {

// Six rows × four registers of the f32 product leave eight of the thirty-two registers for operands.
void install_simd_neon(Kernels& k) { simd::install<xsimd::neon64, 6>(k, "neon"); }

}  // namespace vitrail::arm
