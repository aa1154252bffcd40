#include "runtime/windows.hpp"

#include <limits>
#include <string>

#include "runtime/argument_error.hpp"

namespace vitrail {
namespace {

struct Axis {
  const char *name, *kernel_name;
  int length, kernel, stride, padding, dilation;
};

/// Windows along one axis.
Result<int> count_windows(const Axis& a) {
  const long long span = static_cast<long long>(a.dilation) * (a.kernel - 1) + 1;
  const long long room = a.length + 2LL * a.padding - span;
  if (room >= 0) return static_cast<int>(room / a.stride) + 1;
  return argument_error(a.name, std::to_string(a.length),
                        "at least " + std::to_string(span - 2LL * a.padding) + " for one window (" + a.kernel_name +
                            " " + std::to_string(a.kernel) + ", dilation " + std::to_string(a.dilation) + ", padding " +
                            std::to_string(a.padding) + ")");
}

/// Calls at(element of the window, y, x, channel) for every sample of window `index` that lies in the picture.
template <class Function>
void for_each_inside(const WindowGrid& grid, int index, PatchOrder order, const Function& at) noexcept {
  const WindowOptions& o = grid.options();
  const int first_y = index / grid.columns() * o.stride_y - o.padding_y;
  const int first_x = index % grid.columns() * o.stride_x - o.padding_x;
  const std::size_t area = static_cast<std::size_t>(o.kernel_height) * static_cast<std::size_t>(o.kernel_width);
  for (int ky = 0; ky < o.kernel_height; ++ky) {
    const int y = first_y + ky * o.dilation_y;
    if (y < 0 || y >= o.height) continue;
    for (int kx = 0; kx < o.kernel_width; ++kx) {
      const int x = first_x + kx * o.dilation_x;
      if (x < 0 || x >= o.width) continue;
      const auto k =
          static_cast<std::size_t>(ky) * static_cast<std::size_t>(o.kernel_width) + static_cast<std::size_t>(kx);
      for (int c = 0; c < o.channels; ++c) {
        const auto channel = static_cast<std::size_t>(c);
        at(order == PatchOrder::hwc ? k * static_cast<std::size_t>(o.channels) + channel : channel * area + k, y, x, c);
      }
    }
  }
}

template <class T>
void im2col_any(const WindowGrid& grid, const T* src, std::ptrdiff_t src_stride_bytes, T* dst, PatchOrder order,
                T outside) noexcept {
  const std::size_t size = grid.window_size();
  const int channels = grid.options().channels;
  for (int i = 0; i < grid.count(); ++i, dst += size) {
    if (order == PatchOrder::hwc || channels == 1) {
      gather_window(grid, src, src_stride_bytes, i, outside, dst);
      continue;
    }
    std::fill_n(dst, size, outside);
    for_each_inside(grid, i, order, [&](std::size_t element, int y, int x, int c) {
      dst[element] = row_at(src, src_stride_bytes, y)[static_cast<std::ptrdiff_t>(x) * channels + c];
    });
  }
}

template <class T, class Sum>
void fold_any(const WindowGrid& grid, const T* src, Sum* dst, std::ptrdiff_t dst_stride_bytes,
              PatchOrder order) noexcept {
  const WindowOptions& o = grid.options();
  const auto row = [&](int y) { return reinterpret_cast<Sum*>(reinterpret_cast<char*>(dst) + y * dst_stride_bytes); };
  for (int y = 0; y < o.height; ++y)
    std::fill_n(row(y), static_cast<std::size_t>(o.width) * static_cast<std::size_t>(o.channels), Sum{0});
  for (int i = 0; i < grid.count(); ++i, src += grid.window_size())
    for_each_inside(grid, i, order, [&](std::size_t element, int y, int x, int c) {
      row(y)[static_cast<std::ptrdiff_t>(x) * o.channels + c] += src[element];
    });
}

}  // namespace

Result<WindowGrid> WindowGrid::make(const WindowOptions& o) {
  const struct {
    const char* name;
    int value, low, high;
  } ranges[] = {
      {"height", o.height, 1, max_image_side},     {"width", o.width, 1, max_image_side},
      {"channels", o.channels, 1, 65536},          {"kernel_height", o.kernel_height, 1, 4096},
      {"kernel_width", o.kernel_width, 1, 4096},   {"stride_y", o.stride_y, 1, max_image_side},
      {"stride_x", o.stride_x, 1, max_image_side}, {"padding_y", o.padding_y, 0, 4096},
      {"padding_x", o.padding_x, 0, 4096},         {"dilation_y", o.dilation_y, 1, 4096},
      {"dilation_x", o.dilation_x, 1, 4096},
  };
  for (const auto& range : ranges)
    if (Status status = check_range(range.name, range.value, range.low, range.high); !status) return status.error();
  const auto rows =
      count_windows({"height", "kernel_height", o.height, o.kernel_height, o.stride_y, o.padding_y, o.dilation_y});
  if (!rows) return rows.error();
  const auto columns =
      count_windows({"width", "kernel_width", o.width, o.kernel_width, o.stride_x, o.padding_x, o.dilation_x});
  if (!columns) return columns.error();

  static_assert((max_image_side + 2LL * 4096) * (max_image_side + 2LL * 4096) <= std::numeric_limits<int>::max());
  const std::uint64_t count = static_cast<std::uint64_t>(*rows) * static_cast<std::uint64_t>(*columns);
  WindowGrid grid;
  grid.options_ = o;
  grid.rows_ = *rows;
  grid.columns_ = *columns;
  constexpr std::uint64_t most = std::numeric_limits<std::ptrdiff_t>::max() / sizeof(float);
  const std::uint64_t size = static_cast<std::uint64_t>(o.kernel_height) * static_cast<std::uint64_t>(o.kernel_width) *
                             static_cast<std::uint64_t>(o.channels);
  if (size > most / count)
    return argument_error("height x width", std::to_string(count) + " windows of " + std::to_string(size) + " elements",
                          "at most " + std::to_string(most) + " elements in all");
  return grid;
}

std::size_t WindowGrid::window_size() const noexcept {
  return static_cast<std::size_t>(options_.kernel_height) * static_cast<std::size_t>(options_.kernel_width) *
         static_cast<std::size_t>(options_.channels);
}

void im2col(const WindowGrid& grid, const std::uint8_t* src, std::ptrdiff_t src_stride_bytes, std::uint8_t* dst,
            PatchOrder order, std::uint8_t outside) noexcept {
  im2col_any(grid, src, src_stride_bytes, dst, order, outside);
}

void im2col(const WindowGrid& grid, const float* src, std::ptrdiff_t src_stride_bytes, float* dst, PatchOrder order,
            float outside) noexcept {
  im2col_any(grid, src, src_stride_bytes, dst, order, outside);
}

void fold(const WindowGrid& grid, const float* src, float* dst, std::ptrdiff_t dst_stride_bytes,
          PatchOrder order) noexcept {
  fold_any(grid, src, dst, dst_stride_bytes, order);
}

void fold(const WindowGrid& grid, const std::uint8_t* src, std::uint32_t* dst, std::ptrdiff_t dst_stride_bytes,
          PatchOrder order) noexcept {
  fold_any(grid, src, dst, dst_stride_bytes, order);
}

}  // namespace vitrail
