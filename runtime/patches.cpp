#include "vitrail/patches.hpp"

#include <algorithm>
#include <cstring>

#include "runtime/kernels.hpp"
#include "runtime/patch_axis.hpp"

namespace vitrail {
namespace {

/// The pixels of one patch that lie in the picture, along one axis: first … last − 1, counted inside the patch.
/// Never empty: PatchGrid::make allows no patch that holds only padding.
PatchRange visible(const PatchAxis& axis, int index) noexcept {
  const int start = axis.start(index);
  return {std::max(0, -start), std::min(axis.patch, axis.length - start)};
}

}  // namespace

/// HWC patches are runs of bytes whatever the element type is: picture [height, width · pixel_bytes] ↔ patches.
struct RunLayout {
  PatchAxis y;
  PatchAxis x;
  std::ptrdiff_t pixel_bytes;
  std::ptrdiff_t run_bytes;    ///< one pixel row of one patch
  std::ptrdiff_t patch_bytes;  ///< one patch
  PatchRange inside;           ///< the columns of patches that need no clipping
  decltype(Kernels::copy_runs) copy_runs;

  RunLayout(const PatchGrid& grid, std::size_t element_bytes) noexcept
      : y(axis_y(grid)),
        x(axis_x(grid)),
        pixel_bytes(grid.options().channels * static_cast<std::ptrdiff_t>(element_bytes)),
        run_bytes(grid.options().patch_width * pixel_bytes),
        patch_bytes(static_cast<std::ptrdiff_t>(grid.patch_size() * element_bytes)),
        inside(x.inside()),
        copy_runs(grid.copy_runs_) {}

  /// Byte offset, in the picture's row, of the first pixel of patch column `column`. Negative in the padding.
  std::ptrdiff_t column_offset(int column) const noexcept { return x.start(column) * pixel_bytes; }
};

namespace {

/// One run at the picture's edge: zeros where it leaves the picture.
void gather_clipped_run(const RunLayout& layout, int column, const std::uint8_t* src_row, std::uint8_t* dst) noexcept {
  const PatchRange seen = visible(layout.x, column);
  const std::ptrdiff_t left = seen.first * layout.pixel_bytes;
  const std::ptrdiff_t right = seen.last * layout.pixel_bytes;
  std::memset(dst, 0, static_cast<std::size_t>(left));
  std::memcpy(dst + left, src_row + layout.column_offset(column) + left, static_cast<std::size_t>(right - left));
  std::memset(dst + right, 0, static_cast<std::size_t>(layout.run_bytes - right));
}

void patchify_runs(const PatchGrid& grid, const std::uint8_t* src, std::ptrdiff_t src_stride_bytes, std::uint8_t* dst,
                   std::size_t element_bytes) noexcept {
  const RunLayout layout(grid, element_bytes);
  const auto run_bytes = static_cast<std::size_t>(layout.run_bytes);
  for (int row = 0; row < layout.y.count; ++row, dst += layout.x.count * layout.patch_bytes) {
    const PatchRange lines = visible(layout.y, row);
    const auto zero = [&](PatchRange outside) {
      for (int line = outside.first; line < outside.last; ++line)
        for (int column = 0; column < layout.x.count; ++column)
          std::memset(dst + column * layout.patch_bytes + line * layout.run_bytes, 0, run_bytes);
    };
    zero({0, lines.first});
    zero({lines.last, layout.y.patch});
    const std::uint8_t* src_row = src + (layout.y.start(row) + lines.first) * src_stride_bytes;
    std::uint8_t* dst_row = dst + lines.first * layout.run_bytes;
    const auto clipped = [&](int column) {
      for (int line = 0; line < lines.size(); ++line)
        gather_clipped_run(layout, column, src_row + line * src_stride_bytes,
                           dst_row + column * layout.patch_bytes + line * layout.run_bytes);
    };
    for (int column = 0; column < layout.inside.first; ++column) clipped(column);
    if (!layout.inside.empty())
      layout.copy_runs(src_row + layout.column_offset(layout.inside.first),
                       dst_row + layout.inside.first * layout.patch_bytes,
                       {.bytes = run_bytes,
                        .lines = lines.size(),
                        .count = layout.inside.size(),
                        .src_line = src_stride_bytes,
                        .src_step = layout.x.stride * layout.pixel_bytes,
                        .dst_line = layout.run_bytes,
                        .dst_step = layout.patch_bytes});
    for (int column = layout.inside.last; column < layout.x.count; ++column) clipped(column);
  }
}

/// The inverse of patchify_runs where no two patches overlap. Pixels between patches become 0.
void assemble_runs(const PatchGrid& grid, const std::uint8_t* src, std::uint8_t* dst, std::ptrdiff_t dst_stride_bytes,
                   std::size_t element_bytes) noexcept {
  const RunLayout layout(grid, element_bytes);
  const std::size_t row_bytes = static_cast<std::size_t>(layout.x.length * layout.pixel_bytes);
  const bool gaps = layout.x.stride != layout.x.patch || layout.x.start(layout.x.count) < layout.x.length;
  const auto scatter_clipped_run = [&](int column, const std::uint8_t* src_line, std::uint8_t* dst_row) {
    const PatchRange seen = visible(layout.x, column);
    const std::ptrdiff_t left = seen.first * layout.pixel_bytes;
    std::memcpy(dst_row + layout.column_offset(column) + left, src_line + column * layout.patch_bytes + left,
                static_cast<std::size_t>(seen.size() * layout.pixel_bytes));
  };
  for (int pixel_y = 0; pixel_y < layout.y.length; ++pixel_y) {
    std::uint8_t* dst_row = dst + pixel_y * dst_stride_bytes;
    const PatchRange rows = layout.y.covering(pixel_y);
    if (gaps || rows.empty()) std::memset(dst_row, 0, row_bytes);
    if (rows.empty()) continue;
    const std::uint8_t* src_line = src + rows.first * (layout.x.count * layout.patch_bytes) +
                                   (pixel_y - layout.y.start(rows.first)) * layout.run_bytes;
    for (int column = 0; column < layout.inside.first; ++column) scatter_clipped_run(column, src_line, dst_row);
    if (!layout.inside.empty()) {
      layout.copy_runs(src_line + layout.inside.first * layout.patch_bytes,
                       dst_row + layout.column_offset(layout.inside.first),
                       {.bytes = static_cast<std::size_t>(layout.run_bytes),
                        .lines = 1,
                        .count = layout.inside.size(),
                        .src_line = 0,
                        .src_step = layout.patch_bytes,
                        .dst_line = 0,
                        .dst_step = layout.x.stride * layout.pixel_bytes});
    }
    for (int column = layout.inside.last; column < layout.x.count; ++column) {
      scatter_clipped_run(column, src_line, dst_row);
    }
  }
}

template <class T>
void patchify_planes(const PatchGrid& grid, const std::uint8_t* src, std::ptrdiff_t src_stride_bytes, T* dst) noexcept {
  const PatchAxis y = axis_y(grid);
  const PatchAxis x = axis_x(grid);
  const std::ptrdiff_t channels = grid.options().channels;
  for (int row = 0; row < y.count; ++row) {
    const PatchRange lines = visible(y, row);
    for (int column = 0; column < x.count; ++column) {
      const PatchRange seen = visible(x, column);
      for (std::ptrdiff_t channel = 0; channel < channels; ++channel) {
        for (int line = 0; line < y.patch; ++line, dst += x.patch) {
          if (line < lines.first || line >= lines.last) {
            std::fill_n(dst, x.patch, T(0));
            continue;
          }
          const T* src_row = reinterpret_cast<const T*>(src + (y.start(row) + line) * src_stride_bytes);
          const T* from = src_row + (x.start(column) + seen.first) * channels + channel;
          std::fill_n(dst, seen.first, T(0));
          for (int i = 0; i < seen.size(); ++i) dst[seen.first + i] = from[i * channels];
          std::fill_n(dst + seen.last, x.patch - seen.last, T(0));
        }
      }
    }
  }
}

std::uint8_t mean(std::uint64_t sum, std::uint64_t n) noexcept {
  return static_cast<std::uint8_t>((2 * sum + n) / (2 * n));
}
// In double the sum of n equal floats is exact for n < 2^29, so unchanged patches give back the picture to the bit.
float mean(double sum, std::uint64_t n) noexcept { return static_cast<float>(sum / static_cast<double>(n)); }

/// Any stride and order: asks of every output pixel which patches cover it, so no accumulation buffer is needed.
template <class T, class Sum>
void assemble_pixels(const PatchGrid& grid, const T* src, std::uint8_t* dst, std::ptrdiff_t dst_stride_bytes,
                     PatchOrder order) noexcept {
  const PatchAxis y = axis_y(grid);
  const PatchAxis x = axis_x(grid);
  const std::ptrdiff_t channels = grid.options().channels;
  const std::ptrdiff_t patch_size = static_cast<std::ptrdiff_t>(grid.patch_size());
  const bool hwc = order == PatchOrder::hwc;
  const std::ptrdiff_t pixel_step = hwc ? channels : 1;
  const std::ptrdiff_t channel_step = hwc ? 1 : static_cast<std::ptrdiff_t>(y.patch) * x.patch;
  for (int pixel_y = 0; pixel_y < y.length; ++pixel_y) {
    T* dst_pixel = reinterpret_cast<T*>(dst + pixel_y * dst_stride_bytes);
    const PatchRange rows = y.covering(pixel_y);
    for (int pixel_x = 0; pixel_x < x.length; ++pixel_x, dst_pixel += channels) {
      const PatchRange columns = x.covering(pixel_x);
      if (rows.empty() || columns.empty()) {
        std::fill_n(dst_pixel, channels, T(0));
        continue;
      }
      const std::uint64_t n = static_cast<std::uint64_t>(rows.size()) * static_cast<std::uint64_t>(columns.size());
      for (std::ptrdiff_t channel = 0; channel < channels; ++channel) {
        Sum sum = 0;
        for (int row = rows.first; row < rows.last; ++row) {
          const std::ptrdiff_t line = pixel_y - y.start(row);
          for (int column = columns.first; column < columns.last; ++column) {
            const std::ptrdiff_t patch = static_cast<std::ptrdiff_t>(row) * x.count + column;
            const std::ptrdiff_t pixel = line * x.patch + (pixel_x - x.start(column));
            sum += src[patch * patch_size + pixel * pixel_step + channel * channel_step];
          }
        }
        dst_pixel[channel] = mean(sum, n);
      }
    }
  }
}

template <class T, class Sum>
void assemble_any(const PatchGrid& grid, const T* src, T* dst, std::ptrdiff_t dst_stride_bytes,
                  PatchOrder order) noexcept {
  if (grid.count() == 0) return;
  const PatchGridOptions& o = grid.options();
  std::uint8_t* dst_bytes = reinterpret_cast<std::uint8_t*>(dst);
  const bool overlap = o.stride_y < o.patch_height || o.stride_x < o.patch_width;
  // One channel: both orders are the same bytes.
  if (!overlap && (order == PatchOrder::hwc || o.channels == 1)) {
    assemble_runs(grid, reinterpret_cast<const std::uint8_t*>(src), dst_bytes, dst_stride_bytes, sizeof(T));
  } else {
    assemble_pixels<T, Sum>(grid, src, dst_bytes, dst_stride_bytes, order);
  }
}

template <class T>
void patchify_any(const PatchGrid& grid, const T* src, std::ptrdiff_t src_stride_bytes, T* dst,
                  PatchOrder order) noexcept {
  if (grid.count() == 0) return;
  const std::uint8_t* src_bytes = reinterpret_cast<const std::uint8_t*>(src);
  if (order == PatchOrder::hwc || grid.options().channels == 1) {
    patchify_runs(grid, src_bytes, src_stride_bytes, reinterpret_cast<std::uint8_t*>(dst), sizeof(T));
  } else {
    patchify_planes<T>(grid, src_bytes, src_stride_bytes, dst);
  }
}

}  // namespace

void patchify(const PatchGrid& grid, const std::uint8_t* src, std::ptrdiff_t src_stride_bytes, std::uint8_t* dst,
              PatchOrder order) noexcept {
  patchify_any(grid, src, src_stride_bytes, dst, order);
}

void patchify(const PatchGrid& grid, const float* src, std::ptrdiff_t src_stride_bytes, float* dst,
              PatchOrder order) noexcept {
  patchify_any(grid, src, src_stride_bytes, dst, order);
}

void assemble(const PatchGrid& grid, const std::uint8_t* src, std::uint8_t* dst, std::ptrdiff_t dst_stride_bytes,
              PatchOrder order) noexcept {
  assemble_any<std::uint8_t, std::uint64_t>(grid, src, dst, dst_stride_bytes, order);
}

void assemble(const PatchGrid& grid, const float* src, float* dst, std::ptrdiff_t dst_stride_bytes,
              PatchOrder order) noexcept {
  assemble_any<float, double>(grid, src, dst, dst_stride_bytes, order);
}

}  // namespace vitrail
