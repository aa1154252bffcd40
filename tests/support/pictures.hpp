// Pictures for tests: reproducible noise in any format and memory layout, and a hash to compare results with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "vitrail/image.hpp"

namespace vitrail::test {

/// Bytes of a linear congruential generator: x ← 1664525 x + 1013904223 mod 2^32, byte = x >> 24.
inline std::vector<std::uint8_t> noise(std::size_t size, std::uint32_t seed) {
  std::vector<std::uint8_t> bytes(size);
  for (std::uint8_t& byte : bytes) {
    seed = seed * 1664525u + 1013904223u;
    byte = static_cast<std::uint8_t>(seed >> 24);
  }
  return bytes;
}

inline std::uint64_t fnv1a64(const std::uint8_t* bytes, std::size_t size) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (std::size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3u;
  return hash;
}

/// A picture whose memory ends where its last row does, so that a sanitizer sees every read outside.
struct Picture {
  std::vector<std::uint8_t> bytes;
  ImageView view;

  /// The pixels of `packed`, [height, width, bytes_per_pixel(format)], with `gap` bytes between rows, perhaps
  /// bottom-up.
  Picture(const std::vector<std::uint8_t>& packed, int width, int height, PixelFormat format, int gap = 0,
          bool bottom_up = false) {
    const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(width) * bytes_per_pixel(format);
    const std::ptrdiff_t stride = row + gap;
    bytes.assign(static_cast<std::size_t>(stride * (height - 1) + row), 0xcd);
    for (int y = 0; y < height; ++y) {
      const std::ptrdiff_t at = bottom_up ? height - 1 - y : y;
      for (std::ptrdiff_t i = 0; i < row; ++i) {
        bytes[static_cast<std::size_t>(at * stride + i)] = packed[static_cast<std::size_t>(y * row + i)];
      }
    }
    view = {bytes.data() + (bottom_up ? (height - 1) * stride : 0), width, height, bottom_up ? -stride : stride,
            format};
  }
  Picture(const Picture&) = delete;  // the view points into this object
};

inline std::vector<std::uint8_t> packed_bytes(const ImageView& view) {
  std::vector<std::uint8_t> bytes;
  for (int y = 0; y < view.height; ++y) {
    bytes.insert(bytes.end(), view.row(y), view.row(y) + view.width * bytes_per_pixel(view.format));
  }
  return bytes;
}

/// A picture row by row. Each row has memory of its own, so that a sanitizer sees one that is read too late.
class ViewRows : public RowSource {
 public:
  /// @param fails_at  the row that is an error instead, or −1
  explicit ViewRows(const ImageView& view, int fails_at = -1)
      : RowSource(view.width, view.height, view.format), view_(view), fails_at_(fails_at) {}
  Result<const std::uint8_t*> next_row() override {
    if (next_ == fails_at_) return Error{ErrorCode::bad_file, "row " + std::to_string(next_) + " is damaged"};
    const std::uint8_t* row = view_.row(next_++);
    row_ = std::vector<std::uint8_t>(row, row + std::ptrdiff_t{view_.width} * bytes_per_pixel(view_.format));
    return static_cast<const std::uint8_t*>(row_.data());
  }
  int rows_given() const { return next_; }

 private:
  ImageView view_;
  int fails_at_, next_ = 0;
  std::vector<std::uint8_t> row_;
};

inline const PixelFormat all_formats[] = {PixelFormat::rgb8, PixelFormat::bgr8, PixelFormat::rgba8, PixelFormat::bgra8,
                                          PixelFormat::gray8};

}  // namespace vitrail::test
