// Which class a CPU belongs to, from CPUID and XGETBV as plain integers.
#include "platforms/x86/x86.hpp"

#include <doctest/doctest.h>

using namespace vitrail::x86;

namespace {

constexpr std::uint32_t sse4_2 = 1u << 9 | 1u << 19 | 1u << 20;
constexpr std::uint32_t fma_avx = sse4_2 | 1u << 12 | 1u << 27 | 1u << 28, avx2 = 1u << 5;
constexpr std::uint32_t avx512 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31, vnni512 = 1u << 11,
                        vnni256 = 1u << 4;
constexpr std::uint64_t ymm = 0x7, zmm = 0xe7;

}  // namespace

TEST_CASE("classes of CPU from what CPUID says") {
  const Features core2 = features({.leaf1_ecx = 1u << 9});
  CHECK(!core2.sse4_2);

  const Features nehalem = features({.leaf1_ecx = sse4_2});
  CHECK(nehalem.sse4_2);
  CHECK(!nehalem.avx2);

  const Features haswell = features({.leaf1_ecx = fma_avx, .leaf7_ebx = avx2, .xcr0 = ymm});
  CHECK(haswell.avx2);
  CHECK(!haswell.avx512);

  const Features alder_lake = features({.leaf1_ecx = fma_avx, .leaf7_ebx = avx2, .leaf7_1_eax = vnni256, .xcr0 = ymm});
  CHECK(alder_lake.avx_vnni);
  CHECK(!alder_lake.avx512_vnni);

  const Features skylake_x = features({.leaf1_ecx = fma_avx, .leaf7_ebx = avx2 | avx512, .xcr0 = zmm});
  CHECK(skylake_x.avx512);
  CHECK(!skylake_x.avx512_vnni);

  const Features ice_lake =
      features({.leaf1_ecx = fma_avx, .leaf7_ebx = avx2 | avx512, .leaf7_ecx = vnni512, .xcr0 = zmm});
  CHECK(ice_lake.avx512_vnni);
  CHECK(!ice_lake.avx_vnni);
}

TEST_CASE("what the operating system does not save is not used") {
  const CpuId all{fma_avx, avx2 | avx512, vnni512, vnni256, zmm};
  CpuId no_zmm = all, no_ymm = all;
  no_zmm.xcr0 = ymm;
  no_ymm.xcr0 = 0x3;
  CHECK(features(all).avx512_vnni);
  CHECK(!features(no_zmm).avx512);
  CHECK(features(no_zmm).avx_vnni);
  CHECK(!features(no_ymm).avx2);
  CHECK(!features(no_ymm).avx_vnni);
}
