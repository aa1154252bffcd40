// How does patchify move bytes? As runs: the part of one pixel row that belongs to one patch is contiguous on both
// sides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace vitrail {

namespace detail {

template <std::size_t Bytes>
inline void copy_runs_of(const std::uint8_t* src, std::ptrdiff_t src_step, std::uint8_t* dst, std::ptrdiff_t dst_step,
                         int count) noexcept {
  for (int i = 0; i < count; ++i) std::memcpy(dst + i * dst_step, src + i * src_step, Bytes);
}

}  // namespace detail

/// Copies `count` runs of `run_bytes` bytes; the steps are in bytes, from the start of one run to the next, any sign.
/// Writes nothing outside the runs. src and dst do not overlap.
/// The listed lengths are those of 8, 14, 16 and 32 pixel patches: known at compile time they are a few vector moves,
/// where a call to memcpy costs more than the copy itself.
inline void copy_runs(const std::uint8_t* src, std::ptrdiff_t src_step, std::uint8_t* dst, std::ptrdiff_t dst_step,
                      std::size_t run_bytes, int count) noexcept {
  switch (run_bytes) {
    case 14:
      return detail::copy_runs_of<14>(src, src_step, dst, dst_step, count);
    case 16:
      return detail::copy_runs_of<16>(src, src_step, dst, dst_step, count);
    case 24:
      return detail::copy_runs_of<24>(src, src_step, dst, dst_step, count);
    case 42:
      return detail::copy_runs_of<42>(src, src_step, dst, dst_step, count);
    case 48:
      return detail::copy_runs_of<48>(src, src_step, dst, dst_step, count);
    case 96:
      return detail::copy_runs_of<96>(src, src_step, dst, dst_step, count);
    default:
      for (int i = 0; i < count; ++i) std::memcpy(dst + i * dst_step, src + i * src_step, run_bytes);
  }
}

}  // namespace vitrail
