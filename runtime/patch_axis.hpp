// Which patches touch a pixel? Rows and columns of a PatchGrid are independent, so the question is answered per axis.
#pragma once

#include <algorithm>

#include "vitrail/patches.hpp"

namespace vitrail {

/// Indices first … last − 1.
struct PatchRange {
  int first = 0;
  int last = 0;
  bool empty() const noexcept { return first >= last; }
  int size() const noexcept { return last - first; }
};

/// One axis of a grid; lengths in pixels.
struct PatchAxis {
  int length;
  int patch;
  int stride;
  int padding;
  int count;  ///< patches along this axis

  /// First pixel of patch `index`; may lie outside the picture.
  int start(int index) const noexcept { return index * stride - padding; }

  /// The patches that contain `pixel`, which lies in the picture.
  PatchRange covering(int pixel) const noexcept {
    const int at = pixel + padding;
    const int first = at < patch ? 0 : (at - patch) / stride + 1;
    return {first, std::min(at / stride + 1, count)};
  }

  /// The patches that lie in the picture completely.
  PatchRange inside() const noexcept {
    const int first = (padding + stride - 1) / stride;
    const int room = length + padding - patch;
    const int last = room < 0 ? 0 : std::min(room / stride + 1, count);
    return first < last ? PatchRange{first, last} : PatchRange{};
  }
};

inline PatchAxis axis_y(const PatchGrid& grid) noexcept {
  const PatchGridOptions& o = grid.options();
  return {o.height, o.patch_height, o.stride_y, o.padding_y, grid.rows()};
}

inline PatchAxis axis_x(const PatchGrid& grid) noexcept {
  const PatchGridOptions& o = grid.options();
  return {o.width, o.patch_width, o.stride_x, o.padding_x, grid.columns()};
}

}  // namespace vitrail
