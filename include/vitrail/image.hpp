// Pictures in memory: ImageView borrows pixels that somebody else owns (a camera frame), Image owns them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vitrail/error.hpp"

namespace vitrail {

/// Order of the 8-bit samples of one pixel. Alpha is ignored, never blended.
enum class PixelFormat { rgb8, bgr8, rgba8, bgra8, gray8 };

/// Samples (= bytes) per pixel: 3, 3, 4, 4, 1.
int bytes_per_pixel(PixelFormat format) noexcept;

/// A borrowed picture, u8 [height, width, channels] with `stride_bytes` from one row to the next.
struct ImageView {
  const std::uint8_t* data = nullptr;
  int width = 0;                     ///< pixels, ≥ 1
  int height = 0;                    ///< pixels, ≥ 1
  std::ptrdiff_t stride_bytes = 0;   ///< ≥ width · bytes_per_pixel(format); negative for bottom-up pictures
  PixelFormat format = PixelFormat::rgb8;

  const std::uint8_t* row(int y) const noexcept { return data + y * stride_bytes; }
};

/// An error when `image` has no data, no pixels, more than 2^15 · 2^15 of them, or a stride shorter than a row.
Status check(const ImageView& image);

/// An owned picture, rows packed without gaps.
class Image {
 public:
  Image() = default;
  /// Zero-filled; width and height ≥ 1.
  Image(int width, int height, PixelFormat format);

  int width() const noexcept { return width_; }
  int height() const noexcept { return height_; }
  PixelFormat format() const noexcept { return format_; }
  std::size_t row_bytes() const noexcept;
  std::uint8_t* row(int y) noexcept { return pixels_.data() + static_cast<std::size_t>(y) * row_bytes(); }
  const std::uint8_t* row(int y) const noexcept { return pixels_.data() + static_cast<std::size_t>(y) * row_bytes(); }
  std::size_t size_bytes() const noexcept { return pixels_.size(); }
  ImageView view() const noexcept;
  operator ImageView() const noexcept { return view(); }

 private:
  std::vector<std::uint8_t> pixels_;
  int width_ = 0;
  int height_ = 0;
  PixelFormat format_ = PixelFormat::rgb8;
};

}  // namespace vitrail
