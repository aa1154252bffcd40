// Windows that slide over a picture: im2col, its inverse, and the convolution that is im2col and one matrix product.
// A patch embedding is the special case stride = kernel (patches.hpp); here windows overlap and share their weights, as
// in the convolutional stem of a network. Usable alone: nothing here needs a network.
//
//   WindowGrid    where the windows lie: output height and width
//   im2col        pixels  → columns [N, kernel_height · kernel_width · channels]
//   fold          columns → pixels, every pixel the sum of what its windows say
//   Convolution   im2col and a product with weights packed once, in int8 or f32
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "vitrail/error.hpp"
#include "vitrail/executor.hpp"
#include "vitrail/model.hpp"
#include "vitrail/patches.hpp"

namespace vitrail {

/// Arguments of WindowGrid::make, as torch.nn.Unfold and torch.nn.Conv2d have them (groups = 1). Lengths in pixels.
struct WindowOptions {
  int height = 0;                           ///< picture, 1 … 32768
  int width = 0;                            ///< picture, 1 … 32768
  int channels = 3;                         ///< samples per pixel, 1 … 65536
  int kernel_height = 3, kernel_width = 3;  ///< 1 … 4096
  int stride_y = 1, stride_x = 1;           ///< from one window to the next, 1 … 32768
  int padding_y = 0, padding_x = 0;         ///< on both sides, 0 … 4096
  int dilation_y = 1, dilation_x = 1;       ///< from one sample of a window to the next, 1 … 4096
};

/// Where the windows lie. An immutable value; safe to share between threads.
/// rows = (height + 2·padding_y − dilation_y·(kernel_height − 1) − 1) / stride_y + 1, rounded down; columns likewise.
class WindowGrid {
 public:
  static Result<WindowGrid> make(const WindowOptions& options);

  int rows() const noexcept { return rows_; }
  int columns() const noexcept { return columns_; }
  /// N, the number of windows: rows · columns.
  int count() const noexcept { return rows_ * columns_; }
  /// Elements of one window: kernel_height · kernel_width · channels.
  std::size_t window_size() const noexcept;
  /// Elements of all windows, N · window_size().
  std::size_t size() const noexcept { return static_cast<std::size_t>(count()) * window_size(); }
  const WindowOptions& options() const noexcept { return options_; }

 private:
  WindowOptions options_;
  int rows_ = 0, columns_ = 0;
};

/// Pixels [height, width, channels] → columns [N, window_size()], written without gaps: torch.nn.functional.unfold,
/// transposed; PatchOrder::chw has torch's order inside a window.
/// @param src      first sample of the first row; `src_stride_bytes` bytes from one row to the next (any sign; for
///                 float a multiple of 4)
/// @param dst      room for grid.size() elements; must not overlap src
/// @param outside  what a sample outside the picture (padding) is
/// Thread-safe; does not allocate, throw or fail.
void im2col(const WindowGrid& grid, const std::uint8_t* src, std::ptrdiff_t src_stride_bytes, std::uint8_t* dst,
            PatchOrder order = PatchOrder::hwc, std::uint8_t outside = 0) noexcept;
void im2col(const WindowGrid& grid, const float* src, std::ptrdiff_t src_stride_bytes, float* dst,
            PatchOrder order = PatchOrder::hwc, float outside = 0) noexcept;

/// Columns [N, window_size()] → pixels [height, width, channels]: torch.nn.functional.fold. Where windows overlap their
/// samples are added up, in f32 from the first window to the last; pixels that no window covers become 0.
/// u8 columns give u32 sums. Thread-safe; does not allocate, throw or fail.
void fold(const WindowGrid& grid, const float* src, float* dst, std::ptrdiff_t dst_stride_bytes,
          PatchOrder order = PatchOrder::hwc) noexcept;
void fold(const WindowGrid& grid, const std::uint8_t* src, std::uint32_t* dst, std::ptrdiff_t dst_stride_bytes,
          PatchOrder order = PatchOrder::hwc) noexcept;

struct ConvolutionOptions {
  /// int8: s8 weights with a scale per output channel times u8 activations with scale and zero_point per window, in
  /// exact sums, so that the result has the same bits on every CPU; f32: the yardstick, the same bits too.
  DType dtype = DType::int8;
  int threads = 1;  ///< including the caller, 1 … 256; the answer does not depend on it
  /// The application's threads instead; `threads` is then ignored. Must outlive the convolution.
  Executor* executor = nullptr;
};

/// A 2-D convolution, groups = 1: torch.nn.functional.conv2d. Windows are gathered a tile at a time and multiplied
/// while they are in the cache, so the columns never exist as a whole. Moves (a moved-from one may
/// be assigned to or destroyed, nothing else); belongs to one thread at a time.
class Convolution {
 public:
  /// Quantises (int8) and packs the weights; allocates all that run() needs. Reads VITRAIL_CPU and
  /// VITRAIL_ONEDNN.
  /// @param grid     of WindowGrid::make; windows of at most 66047 elements, so that sums stay exact
  /// @param out_channels  1 … 65536
  /// @param weights  [out_channels, channels, kernel_height, kernel_width] as torch has them; finite
  /// @param bias     [out_channels], or empty
  static Result<Convolution> make(const WindowGrid& grid, int out_channels, std::span<const float> weights,
                                  std::span<const float> bias, const ConvolutionOptions& options = {});
  Convolution(Convolution&&) noexcept;
  Convolution& operator=(Convolution&&) noexcept;
  ~Convolution();

  const WindowGrid& grid() const noexcept;
  int out_channels() const noexcept;

  /// Picture f32 [height, width, channels] → dst [rows, columns, out_channels], without gaps. NaN and infinities give
  /// unspecified values. Does not allocate, throw or fail.
  void run(const float* src, std::ptrdiff_t src_stride_bytes, float* dst) noexcept;

  /// The same from bytes that read as scale · (byte − zero_point), e.g. pixels with scale 1/255 and zero_point 0: int8
  /// multiplies them as they are, without a rounding of its own.
  /// @param zero_point  0 … 255; padding is this byte, the real number 0
  void run(const std::uint8_t* src, std::ptrdiff_t src_stride_bytes, float scale, std::uint8_t zero_point,
           float* dst) noexcept;

  /// Bytes of packed weights and scratch.
  std::size_t memory_bytes() const noexcept;

 private:
  struct Impl;
  explicit Convolution(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vitrail
