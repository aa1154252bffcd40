// Which class a CPU belongs to, from what the operating system says as plain integers; runs on every architecture.
#include "platforms/arm/arm.hpp"

#include <doctest/doctest.h>

using namespace vitrail::arm;

TEST_CASE("classes of CPU from AArch64's HWCAP") {
  constexpr std::uint64_t asimd = 1u << 1, asimddp = 1u << 20, i8mm = 1u << 13;
  const Features cortex_a53 = features({true, asimd, 0});
  CHECK(cortex_a53.neon);
  CHECK(!cortex_a53.dotprod);
  CHECK(!cortex_a53.i8mm);

  const Features cortex_a76 = features({true, asimd | asimddp, 0});
  CHECK(cortex_a76.dotprod);
  CHECK(!cortex_a76.i8mm);

  const Features neoverse_n2 = features({true, asimd | asimddp, i8mm});
  CHECK(neoverse_n2.neon);
  CHECK(neoverse_n2.dotprod);
  CHECK(neoverse_n2.i8mm);

  CHECK(!features({true, asimddp, i8mm}).i8mm);  // a kernel that hides NEON
  CHECK(!features({true, asimd, i8mm}).i8mm);    // the staircase has no step without the one below
  CHECK(!features({true, i8mm, 0}).neon);        // bit 13 of the first word is something else
}

TEST_CASE("cores that issue in order are told by AArch64's MIDR") {
  constexpr std::uint64_t dotprod = 1u << 1 | 1u << 20;
  constexpr std::uint64_t a55 = 0x412fd050, a55_first = 0x410fd050, a76 = 0x414fd0b1, a53 = 0x410fd034;
  constexpr std::uint64_t other_implementer = 0x512fd050;
  CHECK(features({true, dotprod, 0, {a55, a55, a55_first, a55}}).in_order);
  CHECK(!features({true, dotprod, 0, {a55, a55, a76, a76}}).in_order);  // big.LITTLE: the big cores decide
  CHECK(!features({true, dotprod, 0, {a76}}).in_order);
  CHECK(!features({true, dotprod, 0, {other_implementer}}).in_order);
  CHECK(!features({true, dotprod, 0, {}}).in_order);  // a system that does not tell
  CHECK(!features({true, 1u << 1, 0, {a53}}).in_order);
  CHECK(!features({true, 1u << 1, 0, {a55}}).in_order);  // a kernel that hides sdot
  CHECK(!features({false, ~std::uint64_t{0}, 0, {a55}}).in_order);
}

TEST_CASE("classes of CPU from 32-bit ARM's HWCAP") {
  constexpr std::uint64_t neon = 1u << 12, vfpv4 = 1u << 16, asimddp = 1u << 24, i8mm = 1u << 27;
  CHECK(features({false, neon | vfpv4, 0}).neon);  // Cortex-A5, A7, A15
  CHECK(!features({false, neon, 0}).neon);         // Cortex-A8, A9: no fma
  CHECK(!features({false, vfpv4, 0}).neon);
  CHECK(!features({false, ~std::uint64_t{0}, ~std::uint64_t{0}}).dotprod);  // no 32-bit kernels beyond NEON
  CHECK(!features({false, neon | vfpv4 | asimddp | i8mm, 0}).i8mm);
}
