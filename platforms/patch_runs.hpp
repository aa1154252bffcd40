// How does patchify move bytes? As runs: the part of one pixel row that belongs to one patch is contiguous on both
// sides.
#pragma once

#include <cstdlib>
#include <cstring>

#include "runtime/kernels.hpp"

namespace vitrail {

/// Patch after patch, so that what is written to comes in order: a CPU foresees that, and not what several patches
/// would be written to side by side.
/// @tparam fetch  asks for pixels some patches ahead: lines of a large picture are further apart than a CPU foresees
template <class Copy, std::size_t bytes, bool fetch>
void copy_patches(const std::uint8_t* src, std::uint8_t* dst, const Runs r) noexcept {
  constexpr int ahead_bytes = 192;
  for (int patch = 0; patch < r.count; ++patch) {
    const std::uint8_t* from = src + patch * r.src_step;
    std::uint8_t* to = dst + patch * r.dst_step;
    for (int line = 0; line < r.lines; ++line, from += r.src_line, to += r.dst_line) {
      if constexpr (fetch) __builtin_prefetch(from + ahead_bytes);
      Copy::template of<bytes>(from, to);
    }
  }
}

/// @param r  a copy, which no store to dst can change
template <class Copy, std::size_t bytes>
void copy_runs_of(const std::uint8_t* src, std::uint8_t* dst, const Runs r) noexcept {
  constexpr std::ptrdiff_t near_bytes = 24 * 1024;  // a row of patches that fits the nearest cache
  const bool near = r.lines * std::abs(r.src_line) <= near_bytes;
  near ? copy_patches<Copy, bytes, false>(src, dst, r) : copy_patches<Copy, bytes, true>(src, dst, r);
}

/// Kernels::copy_runs. The listed lengths are those of 8, 14, 16 and 32 colour pixels, and of 14 and 16 grey ones:
/// known at compile time they are a few vector moves, where a call to memcpy costs more than the copy itself.
/// @tparam Copy  of<bytes>(src, dst) copies a run
template <class Copy>
void copy_runs(const std::uint8_t* src, std::uint8_t* dst, const Runs& r) noexcept {
  switch (r.bytes) {
    case 14:
      return copy_runs_of<Copy, 14>(src, dst, r);
    case 16:
      return copy_runs_of<Copy, 16>(src, dst, r);
    case 24:
      return copy_runs_of<Copy, 24>(src, dst, r);
    case 42:
      return copy_runs_of<Copy, 42>(src, dst, r);
    case 48:
      return copy_runs_of<Copy, 48>(src, dst, r);
    case 96:
      return copy_runs_of<Copy, 96>(src, dst, r);
    default:
      for (int line = 0; line < r.lines; ++line)
        for (int i = 0; i < r.count; ++i)
          std::memcpy(dst + line * r.dst_line + i * r.dst_step, src + line * r.src_line + i * r.src_step, r.bytes);
  }
}

}  // namespace vitrail
