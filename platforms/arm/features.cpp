// Which class a CPU belongs to. Compiled for every architecture, so that every machine can test it.
#include "platforms/arm/arm.hpp"

#include <algorithm>

namespace vitrail::arm {
namespace {

// The kernel's interface: arch/arm64/include/uapi/asm/hwcap.h and arch/arm/include/uapi/asm/hwcap.h.
constexpr int aarch64_asimd = 1, aarch64_asimddp = 20, aarch64_i8mm_in_2 = 13;
constexpr int arm_neon = 12, arm_vfpv4 = 16;

/// Arm's Architecture Reference Manual, MIDR_EL1: implementer in bits 31 … 24, part number in 15 … 4.
bool is_cortex_a55(std::uint64_t midr) { return midr >> 24 == 0x41 && (midr >> 4 & 0xfff) == 0xd05; }

}  // namespace

Features features(const HwCap& cap) {
  const auto has = [](std::uint64_t word, int bit) { return (word >> bit & 1) != 0; };
  Features f;
  if (!cap.aarch64) {
    f.neon = has(cap.hwcap, arm_neon) && has(cap.hwcap, arm_vfpv4);
    return f;  // a 32-bit program on a newer CPU: no kernels beyond NEON
  }
  f.neon = has(cap.hwcap, aarch64_asimd);
  f.dotprod = f.neon && has(cap.hwcap, aarch64_asimddp);
  f.in_order = f.dotprod && !cap.midr.empty() && std::all_of(cap.midr.begin(), cap.midr.end(), is_cortex_a55);
  f.i8mm = f.dotprod && has(cap.hwcap2, aarch64_i8mm_in_2);
  return f;
}

}  // namespace vitrail::arm
