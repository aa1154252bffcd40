// Patch extraction (contract: runtime/kernels.hpp).
#pragma once

#include "platforms/patch_runs.hpp"
#include "platforms/simd/vec16.hpp"

namespace vitrail::simd {

/// Whole vectors, then half or a quarter of one, or else a whole one that overlaps the one before. With AVX-512 what is
/// left of more than half a vector is one masked vector: on Zen 5 faster than two moves while the picture is in a
/// cache.
template <class A>
struct CopyVectors {
  template <std::size_t bytes>
  VITRAIL_INLINE static void of(const std::uint8_t* src, std::uint8_t* dst) noexcept {
    using V = xsimd::batch<std::uint8_t, A>;
#ifdef __AVX512BW__
    if constexpr (std::is_base_of_v<xsimd::avx512bw, A> && bytes % 64 > 32) {
      constexpr std::size_t whole = bytes / 64 * 64;
      constexpr __mmask64 rest = (std::uint64_t{1} << bytes % 64) - 1;
      if constexpr (whole > 0) of<whole>(src, dst);
      _mm512_mask_storeu_epi8(dst + whole, rest, _mm512_maskz_loadu_epi8(rest, src + whole));
      return;
    }
#endif
    if constexpr (bytes < V::size) {
      __builtin_memcpy(dst, src, bytes);
    } else {
      constexpr std::size_t whole = bytes / V::size;
      unroll<whole>([&](auto i) __attribute__((always_inline)) {
        V::load_unaligned(src + i * V::size).store_unaligned(dst + i * V::size);
      });
      constexpr std::size_t rest = bytes % V::size;
      if constexpr (rest == V::size / 2 || rest == V::size / 4)
        __builtin_memcpy(dst + whole * V::size, src + whole * V::size, rest);
      else if constexpr (rest != 0)
        V::load_unaligned(src + bytes - V::size).store_unaligned(dst + bytes - V::size);
    }
  }
};

template <class A>
void copy_runs(const std::uint8_t* src, std::uint8_t* dst, const Runs& runs) {
  vitrail::copy_runs<CopyVectors<A>>(src, dst, runs);
}

}  // namespace vitrail::simd
