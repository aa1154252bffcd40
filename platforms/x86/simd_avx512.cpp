#if !defined(__AVX512F__) || !defined(__AVX512BW__)
#error "compile with -mavx512f -mavx512bw -mavx512dq -mavx512cd -mavx512vl"
#endif
#include "platforms/simd/install.hpp"
#include "platforms/x86/x86.hpp"

namespace vitrail::x86 {

// Twelve rows × one register: chains enough to hide the latency of two fma units, and few reloads of the column.
void install_simd_avx512(Kernels& k) { simd::install<xsimd::avx512bw, 12>(k, "avx512"); }

}  // namespace vitrail::x86
