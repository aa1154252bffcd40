#include "platforms/arm/arm.hpp"

#include <cinttypes>
#include <cstdio>

#include <sys/auxv.h>
#include <unistd.h>

namespace vitrail::arm {

HwCap read_hwcap() {
#ifdef __aarch64__
  HwCap cap{true, getauxval(AT_HWCAP), getauxval(AT_HWCAP2)};
  const long cores = sysconf(_SC_NPROCESSORS_CONF);
  for (long i = 0; i < cores; ++i) {
    char path[80];
    std::snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%ld/regs/identification/midr_el1", i);
    if (std::FILE* file = std::fopen(path, "re")) {
      std::uint64_t midr = 0;
      if (std::fscanf(file, "%" SCNx64, &midr) == 1) cap.midr.push_back(midr);
      std::fclose(file);
    }
  }
  return cap;
#else
  return {false, getauxval(AT_HWCAP), getauxval(AT_HWCAP2)};
#endif
}

void init(Kernels& k, const Steps& use) {
  if (use.neon) {
#ifdef __aarch64__
    install_simd_neon(k);
#endif
    install_gemm_neon(k);
  }
#ifdef __aarch64__
  if (use.dotprod_in_order) install_gemm_dotprod_in_order(k);
  if (use.dotprod) install_gemm_dotprod(k);
  if (use.i8mm) install_gemm_i8mm(k);
#endif
}

}  // namespace vitrail::arm
