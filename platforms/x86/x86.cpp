#include "platforms/x86/x86.hpp"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace vitrail::x86 {

CpuId read_cpuid() {
  CpuId id;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return id;
  id.leaf1_ecx = c;
  if (c & (1u << 27)) {  // OSXSAVE: xgetbv may be executed
    unsigned low = 0, high = 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    id.xcr0 = (static_cast<std::uint64_t>(high) << 32) | low;
  }
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    id.leaf7_ebx = b;
    id.leaf7_ecx = c;
    id.leaf7_edx = d;
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) id.leaf7_1_eax = a;
  }
  return id;
}

Features features(const CpuId& id) {
  const auto has = [](std::uint32_t word, int bit) { return (word >> bit & 1) != 0; };
  const bool os_ymm = (id.xcr0 & 0x6) == 0x6;
  const bool os_zmm = (id.xcr0 & 0xe6) == 0xe6;
  const bool os_tiles = (id.xcr0 & 0x60000) == 0x60000;
  Features f;
  f.sse4_2 = has(id.leaf1_ecx, 20) && has(id.leaf1_ecx, 19) && has(id.leaf1_ecx, 9);
  f.avx2 = f.sse4_2 && os_ymm && has(id.leaf1_ecx, 28) && has(id.leaf1_ecx, 12) && has(id.leaf7_ebx, 5);
  f.avx_vnni = f.avx2 && has(id.leaf7_1_eax, 4);
  f.avx512 = f.avx2 && os_zmm && has(id.leaf7_ebx, 16) && has(id.leaf7_ebx, 17) && has(id.leaf7_ebx, 28) &&
             has(id.leaf7_ebx, 30) && has(id.leaf7_ebx, 31);
  f.avx512_vnni = f.avx512 && has(id.leaf7_ecx, 11);
  f.amx_int8 = f.avx512_vnni && os_tiles && has(id.leaf7_edx, 24) && has(id.leaf7_edx, 25);
  return f;
}

bool permit_amx() {
  constexpr long request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA
  static const bool permitted = syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
  return permitted;
}

void init(Kernels& k, const Features& use) {
  if (use.sse4_2) {
    install_simd_sse4_2(k);
    install_gemm_sse4_2(k);
  }
  if (use.avx2) {
    install_simd_avx2(k);
    install_gemm_avx2(k);
  }
  if (use.avx_vnni) install_gemm_avx_vnni(k);
  if (use.avx512) {
    install_simd_avx512(k);
    if (!use.avx_vnni) install_gemm_avx512(k);  // vpdpbusd on 256 bits does more than vpmaddwd on 512
  }
  if (use.avx512_vnni) install_gemm_avx512_vnni(k);
  if (use.amx_int8) install_gemm_amx_int8(k);
}

}  // namespace vitrail::x86
