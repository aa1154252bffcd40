// How does patchify move bytes? As runs: the part of one pixel row that belongs to one patch is contiguous on both
// sides.
#pragma once

#include <algorithm>
#include <cstring>

#include "runtime/kernels.hpp"

namespace vitrail {

/// As the compiler moves a number of bytes that it knows.
struct CopyBytes {
  template <std::size_t bytes>
  [[gnu::always_inline]] static void of(const std::uint8_t* src, std::uint8_t* dst) noexcept {
    std::memcpy(dst, src, bytes);
  }
};

/// @param r  a copy, which no store to dst can change
template <class Copy, std::size_t bytes>
void copy_runs_of(const std::uint8_t* src, std::uint8_t* dst, const Runs r) noexcept {
  // A few patches at a time: what is written to stays in the nearest cache until it is complete.
  constexpr int patches = 6;
  for (int first = 0; first < r.count; first += patches) {
    const int count = std::min(patches, r.count - first);
    for (int line = 0; line < r.lines; ++line) {
      const std::uint8_t* from = src + first * r.src_step + line * r.src_line;
      std::uint8_t* to = dst + first * r.dst_step + line * r.dst_line;
      for (int i = 0; i < count; ++i, from += r.src_step, to += r.dst_step) Copy::template of<bytes>(from, to);
    }
  }
}

/// Kernels::copy_runs. The listed lengths are those of 8, 14, 16 and 32 pixel patches: known at compile time they are a
/// few vector moves, where a call to memcpy costs more than the copy itself.
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
