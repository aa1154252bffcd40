// The gathering loop of im2col, for whole pictures and for the tiles of a convolution.
#pragma once

#include <algorithm>
#include <cstring>

#include "vitrail/convolution.hpp"

namespace vitrail {

/// Elements of the picture's row `y`, counted from a first row that may lie anywhere.
template <class T>
const T* row_at(const T* first_row, std::ptrdiff_t stride_bytes, int y) noexcept {
  return reinterpret_cast<const T*>(reinterpret_cast<const char*>(first_row) + y * stride_bytes);
}

/// Window `index` in HWC order → dst [window_size()].
template <class T>
void gather_window(const WindowGrid& grid, const T* src, std::ptrdiff_t src_stride_bytes, int index, T outside,
                   T* dst) noexcept {
  const WindowOptions& o = grid.options();
  const int first_y = index / grid.columns() * o.stride_y - o.padding_y;
  const int first_x = index % grid.columns() * o.stride_x - o.padding_x;
  const auto channels = static_cast<std::size_t>(o.channels);
  const std::size_t run = static_cast<std::size_t>(o.kernel_width) * channels;
  for (int ky = 0; ky < o.kernel_height; ++ky, dst += run) {
    const int y = first_y + ky * o.dilation_y;
    if (y < 0 || y >= o.height) {
      std::fill_n(dst, run, outside);
      continue;
    }
    const T* row = row_at(src, src_stride_bytes, y);
    if (o.dilation_x == 1) {  // one run of the picture, cut at its edges
      const int left = std::clamp(-first_x, 0, o.kernel_width);
      const int right = std::clamp(o.width - first_x, left, o.kernel_width);
      const auto before = static_cast<std::size_t>(left) * channels, end = static_cast<std::size_t>(right) * channels;
      std::fill_n(dst, before, outside);
      if (end > before)
        std::memcpy(dst + before, row + std::ptrdiff_t{first_x + left} * o.channels, (end - before) * sizeof(T));
      std::fill_n(dst + end, run - end, outside);
      continue;
    }
    for (int kx = 0; kx < o.kernel_width; ++kx) {
      const int x = first_x + kx * o.dilation_x;
      T* sample = dst + static_cast<std::size_t>(kx) * channels;
      if (x < 0 || x >= o.width)
        std::fill_n(sample, channels, outside);
      else
        std::copy_n(row + static_cast<std::size_t>(x) * channels, channels, sample);
    }
  }
}

}  // namespace vitrail
