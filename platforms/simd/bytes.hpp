// Patch extraction (contract: runtime/kernels.hpp).
#pragma once

#include "platforms/simd/vec16.hpp"

namespace vitrail::simd {

/// Runs of a length known at compile time: whole vectors, then one vector that overlaps the one before.
template <class A, std::size_t bytes>
VITRAIL_INLINE void copy_fixed_runs(const std::uint8_t* src, std::ptrdiff_t src_step, std::uint8_t* dst,
                                    std::ptrdiff_t dst_step, int count) {
  using V = xsimd::batch<std::uint8_t, A>;
  for (int i = 0; i < count; ++i, src += src_step, dst += dst_step) {
    for (std::size_t b = 0; b + V::size <= bytes; b += V::size) V::load_unaligned(src + b).store_unaligned(dst + b);
    if constexpr (bytes % V::size != 0) {
      if constexpr (bytes > V::size)
        V::load_unaligned(src + bytes - V::size).store_unaligned(dst + bytes - V::size);
      else
        __builtin_memcpy(dst, src, bytes);
    }
  }
}

template <class A>
void copy_runs(const std::uint8_t* src, std::ptrdiff_t src_step, std::uint8_t* dst, std::ptrdiff_t dst_step,
               std::size_t run_bytes, int count) {
  switch (run_bytes) {  // RGB and grey patches 8, 14, 16 and 32 pixels wide
    case 24:
      return copy_fixed_runs<A, 24>(src, src_step, dst, dst_step, count);
    case 42:
      return copy_fixed_runs<A, 42>(src, src_step, dst, dst_step, count);
    case 48:
      return copy_fixed_runs<A, 48>(src, src_step, dst, dst_step, count);
    case 96:
      return copy_fixed_runs<A, 96>(src, src_step, dst, dst_step, count);
    case 16:
      return copy_fixed_runs<A, 16>(src, src_step, dst, dst_step, count);
    default:
      for (int i = 0; i < count; ++i) __builtin_memcpy(dst + i * dst_step, src + i * src_step, run_bytes);
  }
}

}  // namespace vitrail::simd
