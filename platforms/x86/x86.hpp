// x86: which classes of CPU are told apart, and the staircase of kernels.
#pragma once

#include <cstdint>

#include "runtime/kernels.hpp"

namespace vitrail::x86 {

/// The classes that have kernels, from old to new. A CPU may have avx512 without avx_vnni and the other way round.
struct Features {
  bool sse4_2 = false;       ///< SSE4.2 and older; no fma
  bool avx2 = false;         ///< AVX2 and FMA
  bool avx_vnni = false;     ///< vpdpbusd on 256 bits
  bool avx512 = false;       ///< F, BW, DQ, CD and VL
  bool avx512_vnni = false;  ///< vpdpbusd on 512 bits
  bool amx_int8 = false;     ///< tdpbusd on tiles; a process needs permit_amx(), too
};

/// Weights that a tile of VNNI or AMX takes, which need nothing prepared: as many of the next tile and a picture's rows
/// stay in the second cache beside them.
inline constexpr std::size_t tile_weight_bytes = 192 * 1024;

/// What CPUID and XGETBV say, as plain integers so that any CPU can be described in a test.
struct CpuId {
  std::uint32_t leaf1_ecx = 0, leaf7_ebx = 0, leaf7_ecx = 0, leaf7_edx = 0, leaf7_1_eax = 0;
  std::uint64_t xcr0 = 0;  ///< register state the operating system saves; 0 without OSXSAVE
};

CpuId read_cpuid();
Features features(const CpuId& id);

/// Asks the operating system for the tile registers, for all threads of this process (Linux 5.16: arch_prctl(2)).
/// False: it has none, or a thread's stack for signals has no room for them. The first answer stays: weights that are
/// laid out for the tiles have no other reader.
bool permit_amx();

/// The staircase: later steps override earlier ones.
void init(Kernels& k, const Features& use);

void install_simd_sse4_2(Kernels& k);
void install_simd_avx2(Kernels& k);
void install_simd_avx512(Kernels& k);
void install_gemm_sse4_2(Kernels& k);
void install_gemm_avx2(Kernels& k);
void install_gemm_avx_vnni(Kernels& k);
void install_gemm_avx512(Kernels& k);
void install_gemm_avx512_vnni(Kernels& k);
void install_gemm_amx_int8(Kernels& k);

}  // namespace vitrail::x86
