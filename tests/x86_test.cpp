// Which class a CPU belongs to, from CPUID and XGETBV as plain integers.
#include "platforms/x86/x86.hpp"

#include <doctest/doctest.h>

#include <array>
#include <csignal>

using namespace vitrail::x86;

namespace {

constexpr std::uint32_t sse4_2 = 1u << 9 | 1u << 19 | 1u << 20;
constexpr std::uint32_t fma_avx = sse4_2 | 1u << 12 | 1u << 27 | 1u << 28, avx2 = 1u << 5;
constexpr std::uint32_t avx512 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31, vnni512 = 1u << 11,
                        vnni256 = 1u << 4;
constexpr std::uint32_t amx = 1u << 24 | 1u << 25;
constexpr std::uint64_t ymm = 0x7, zmm = 0xe7, tiles = zmm | 0x60000;

}  // namespace

// The first test, because a process keeps the first answer.
TEST_CASE("where the operating system does not permit AMX, another product runs from then on, and the report says so") {
  if (!features(read_cpuid()).amx_int8) return;
  // Linux refuses it while a thread's stack for signals has no room for the tile registers.
  static std::array<char, 8192> small;
  stack_t mine{}, before{};
  mine.ss_sp = small.data();
  mine.ss_size = small.size();
  REQUIRE(sigaltstack(&mine, &before) == 0);
  const auto refused = vitrail::select_kernels("", false, 1);
  mine.ss_flags = SS_DISABLE;
  REQUIRE(sigaltstack(before.ss_flags & SS_DISABLE ? &mine : &before, nullptr) == 0);
  REQUIRE(refused);
  CHECK(std::string(refused->kernels.gemm_name) == "avx512_vnni");
  CHECK(refused->report.find("  amx_int8: not used, the operating system does not permit it\n") != std::string::npos);

  const auto lowered = vitrail::select_kernels("avx512_vnni", false, 1);
  REQUIRE(lowered);
  CHECK(lowered->report.find("  amx_int8: not used, VITRAIL_CPU=avx512_vnni\n") != std::string::npos);

  const auto later = vitrail::select_kernels("", false, 1);  // as what was packed before
  REQUIRE(later);
  CHECK(std::string(later->kernels.gemm_name) == "avx512_vnni");

  const auto onednn = vitrail::select_kernels("", true, 1);
  REQUIRE(onednn);
  if (onednn->provider)
    CHECK(onednn->report.find("  amx_int8: not used, oneDNN multiplies and does not read its weights\n") !=
          std::string::npos);
  const auto same_choice = vitrail::select_kernels("", true, 0);
  REQUIRE(same_choice);
  CHECK(!same_choice->provider);
  CHECK(same_choice->kernels.layout_s8 == onednn->kernels.layout_s8);
}

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

  const CpuId sapphire_rapids{.leaf1_ecx = fma_avx,
                              .leaf7_ebx = avx2 | avx512,
                              .leaf7_ecx = vnni512,
                              .leaf7_edx = amx,
                              .leaf7_1_eax = vnni256,
                              .xcr0 = tiles};
  CHECK(features(sapphire_rapids).amx_int8);
  CpuId bf16_only = sapphire_rapids;
  bf16_only.leaf7_edx = 1u << 24;
  CHECK(!features(bf16_only).amx_int8);
}

TEST_CASE("what the operating system does not save is not used") {
  const CpuId all{fma_avx, avx2 | avx512, vnni512, amx, vnni256, tiles};
  CpuId no_tiles = all, no_zmm = all, no_ymm = all;
  no_tiles.xcr0 = zmm;
  no_zmm.xcr0 = ymm;
  no_ymm.xcr0 = 0x3;
  CHECK(features(all).amx_int8);
  CHECK(!features(no_tiles).amx_int8);
  CHECK(features(no_tiles).avx512_vnni);
  CHECK(!features(no_zmm).avx512);
  CHECK(features(no_zmm).avx_vnni);
  CHECK(!features(no_ymm).avx2);
  CHECK(!features(no_ymm).avx_vnni);
}

TEST_CASE("the report says why oneDNN does not multiply") {
  const bool vnni = features(read_cpuid()).avx512_vnni;
  const auto says = [&](const char* limit, bool onednn, const char* why) {
    const auto selection = vitrail::select_kernels(limit, onednn, 1);
    REQUIRE(selection);
    CAPTURE(selection->report);
    const std::string expected =
        vnni ? why : "without AVX512-VNNI its int8 product saturates or runs as reference code";
    CHECK(selection->report.find("  oneDNN: not used, " + expected + "\n") != std::string::npos);
  };
  says("", false, "only VITRAIL_ONEDNN=1 asks for it");
  says("sse4_2", true, "VITRAIL_CPU=sse4_2 and oneDNN picks its own instructions");
}

TEST_CASE("AVX-512 alone is a CPU without VNNI, whatever this one has") {
  const auto limited = vitrail::select_kernels("avx512", false, 1);
  if (!limited) return;
  CHECK(std::string(limited->kernels.gemm_name) == "avx512");
  if (features(read_cpuid()).avx_vnni)
    CHECK(limited->report.find("  avx_vnni: not used, VITRAIL_CPU=avx512, whose CPUs lack it\n") != std::string::npos);
}
