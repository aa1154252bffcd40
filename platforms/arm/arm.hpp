// ARM: which classes of CPU are told apart, and the staircase of kernels.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/kernels.hpp"

namespace vitrail::arm {

/// The classes that have kernels, from old to new.
struct Features {
  bool neon = false;      ///< Advanced SIMD with a fused multiply-add: every AArch64; armv7 with VFPv4
  bool dotprod = false;   ///< sdot (Armv8.2 and later)
  bool i8mm = false;      ///< usmmla (Armv8.6, some earlier)
  bool in_order = false;  ///< every core has sdot and issues in order: Cortex-A55, which wants another order of loads
};

/// What the operating system says, as plain integers so that any CPU can be described in a test. AT_HWCAP and
/// AT_HWCAP2.
struct HwCap {
  bool aarch64 = false;  ///< the bits below mean other things on 32-bit ARM
  std::uint64_t hwcap = 0, hwcap2 = 0;
  std::vector<std::uint64_t> midr{};  ///< MIDR_EL1 of each core, as far as the system tells
};

HwCap read_hwcap();
Features features(const HwCap& cap);

/// Which steps of the staircase to take; later ones override earlier ones.
struct Steps {
  bool neon, dotprod_in_order, dotprod, i8mm;
};
void init(Kernels& k, const Steps& use);

void install_simd_neon(Kernels& k);
void install_gemm_neon(Kernels& k);
void install_gemm_dotprod_in_order(Kernels& k);
void install_gemm_dotprod(Kernels& k);
void install_gemm_i8mm(Kernels& k);

}  // namespace vitrail::arm
