#include "platforms/arm/arm.hpp"

#if defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace vitrail::arm {

#if defined(__linux__)

HwCap read_hwcap() {
#ifdef __aarch64__
  return {true, getauxval(AT_HWCAP), getauxval(AT_HWCAP2)};
#else
  return {false, getauxval(AT_HWCAP), getauxval(AT_HWCAP2)};
#endif
}

#else

HwCap read_hwcap() {
  constexpr std::uint64_t asimd = 1u << 1;
#if defined(__APPLE__)
  constexpr std::uint64_t asimddp = 1u << 20, i8mm = 1u << 13;
  const auto has = [](const char* name) {
    int value = 0;
    std::size_t size = sizeof value;
    return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
  };
  return {true, asimd | (has("hw.optional.arm.FEAT_DotProd") ? asimddp : 0),
          has("hw.optional.arm.FEAT_I8MM") ? i8mm : 0};
#else
  return {true, asimd, 0};  // what every AArch64 has
#endif
}

#endif

void init(Kernels& k, const Features& use) {
  if (use.neon) {
#ifdef __aarch64__
    install_simd_neon(k);
#endif
    install_gemm_neon(k);
  }
#ifdef __aarch64__
  if (use.dotprod) install_gemm_dotprod(k);
  if (use.i8mm) install_gemm_i8mm(k);
#endif
}

}  // namespace vitrail::arm
