// How does patchify move bytes? As runs: the part of one pixel row that belongs to one patch is contiguous on both
// sides.
#pragma once

#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <utility>

#include "runtime/kernels.hpp"

namespace vitrail {

/// As the compiler moves a number of bytes that it knows.
struct CopyBytes {
  template <std::size_t bytes>
  [[gnu::always_inline]] static void of(const std::uint8_t* src, std::uint8_t* dst) noexcept {
    std::memcpy(dst, src, bytes);
  }
};

/// Patches from `first` on, `together` of them line by line, as long as there are so many.
/// @tparam fetch  asks for pixels some patches ahead: lines of a large picture are further apart than a CPU foresees
/// @param src_step  r.src_step, possibly known at compile time
/// @return the first patch that is left
template <class Copy, std::size_t bytes, int together, bool fetch>
[[gnu::always_inline]] inline int copy_patches(const std::uint8_t* src, std::uint8_t* dst, const Runs& r, auto src_step,
                                               int first) {
  constexpr int ahead_bytes = 192;
  for (; first + together <= r.count; first += together) {
    const std::uint8_t* from = src + first * src_step;
    std::uint8_t* to = dst + first * r.dst_step;
    for (int line = 0; line < r.lines; ++line, from += r.src_line, to += r.dst_line) {
      if constexpr (fetch) __builtin_prefetch(from + ahead_bytes);
      [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
        std::uint8_t* run = to;
        ((Copy::template of<bytes>(from + i * src_step, run), run += r.dst_step), ...);
      }
      (std::make_integer_sequence<int, together>{});
    }
  }
  return first;
}

/// @param r  a copy, which no store to dst can change
template <class Copy, std::size_t bytes>
void copy_runs_of(const std::uint8_t* src, std::uint8_t* dst, const Runs r) noexcept {
  // A row of patches that fits the nearest cache: a few patches at a time, so that the loop costs little. Else one
  // after the other: what is written to comes in order, and only what is read does not.
  constexpr std::ptrdiff_t near_bytes = 24 * 1024;
  if (r.lines * std::abs(r.src_line) > near_bytes) {
    copy_patches<Copy, bytes, 1, true>(src, dst, r, r.src_step, 0);
    return;
  }
  constexpr std::integral_constant<std::ptrdiff_t, bytes> side_by_side;
  const int first = r.src_step == side_by_side ? copy_patches<Copy, bytes, 6, false>(src, dst, r, side_by_side, 0) : 0;
  copy_patches<Copy, bytes, 1, false>(src, dst, r, r.src_step, first);
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
