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

/// The longest side of a picture, in pixels.
inline constexpr int max_image_side = 32768;

/// A borrowed picture, u8 [height, width, channels] with `stride_bytes` from one row to the next.
struct ImageView {
  const std::uint8_t* data = nullptr;  ///< first sample of the top row, also where the stride is negative
  int width = 0;                       ///< pixels, 1 … max_image_side
  int height = 0;                      ///< pixels, 1 … max_image_side
  std::ptrdiff_t stride_bytes = 0;     ///< ≥ width · bytes_per_pixel(format), or its negative for bottom-up pictures
  PixelFormat format = PixelFormat::rgb8;

  const std::uint8_t* row(int y) const noexcept { return data + y * stride_bytes; }
};

/// An error when `image` has no data, a format that is none, a side outside 1 … max_image_side, or a stride shorter
/// than a row.
Status check(const ImageView& image);

/// A picture that comes row by row, as a decoder gives it: Preprocessor and Session take one in place of a whole
/// picture.
class RowSource {
 public:
  virtual ~RowSource() = default;
  RowSource(const RowSource&) = delete;
  RowSource& operator=(const RowSource&) = delete;

  int width() const noexcept { return width_; }
  int height() const noexcept { return height_; }
  PixelFormat format() const noexcept { return format_; }
  /// The next row, from the top one on: width · bytes_per_pixel(format) bytes, valid until the next call; never null.
  /// Whoever reads a source reads it once, to the last row or an error; for a source that is read again it is to give
  /// an error. What it throws becomes an error of whoever reads.
  virtual Result<const std::uint8_t*> next_row() = 0;

 protected:
  /// @param width, height  pixels, 1 … max_image_side
  RowSource(int width, int height, PixelFormat format) noexcept : width_(width), height_(height), format_(format) {}

 private:
  int width_, height_;
  PixelFormat format_;
};

/// An error when `source` has a side outside 1 … max_image_side or no PixelFormat.
Status check(const RowSource& source);

/// An owned picture, rows packed without gaps.
class Image {
 public:
  Image() = default;
  /// Zero-filled. Precondition: width and height in 1 … max_image_side. Throws std::bad_alloc like any container.
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
