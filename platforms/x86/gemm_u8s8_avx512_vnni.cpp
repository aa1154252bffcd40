#include "platforms/x86/gemm_u8s8_vnni.hpp"
#include "platforms/x86/x86.hpp"
#include "platforms/x86/zmm.hpp"

namespace vitrail::x86 {
namespace {

struct Here;

struct Avx512Vnni : Zmm<Here> {
  // 6 rows × 4 registers = 24 of the 32 registers hold sums, enough to hide vpdpbusd's latency: a panel at once.
  static constexpr int row_block = 6, registers = 4;
};

}  // namespace

void install_gemm_avx512_vnni(Kernels& k) { Vnni<Avx512Vnni>::install(k, "avx512_vnni"); }

}  // namespace vitrail::x86
