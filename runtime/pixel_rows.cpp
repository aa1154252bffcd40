#include "runtime/pixel_rows.hpp"

#include <algorithm>
#include <cstring>

namespace vitrail {
namespace {

/// Pillow's fixed-point ITU-R 601-2 luma.
inline std::uint8_t luma(unsigned red, unsigned green, unsigned blue) noexcept {
  return static_cast<std::uint8_t>((19595u * red + 38470u * green + 7471u * blue + 0x8000u) >> 16);
}

// Pixel size and channel order are template arguments so that every loop body is a few fixed loads.
template <int Bytes, int Red, int Blue>
void colour_to_rgb(const std::uint8_t* src, std::uint8_t* dst, int width) noexcept {
  for (int x = 0; x < width; ++x, src += Bytes, dst += 3) {
    dst[0] = src[Red];
    dst[1] = src[1];
    dst[2] = src[Blue];
  }
}

template <int Bytes, int Red, int Blue, class T>
void colour_to_gray(const std::uint8_t* src, T* dst, int width) noexcept {
  for (int x = 0; x < width; ++x, src += Bytes) dst[x] = luma(src[Red], src[1], src[Blue]);
}

template <int Bytes, int Red, int Blue>
void colour_to_planes(const std::uint8_t* src, std::int16_t* dst, std::ptrdiff_t plane_pitch, int width) noexcept {
  std::int16_t* red = dst;
  std::int16_t* green = dst + plane_pitch;
  std::int16_t* blue = dst + 2 * plane_pitch;
  for (int x = 0; x < width; ++x, src += Bytes) {
    red[x] = src[Red];
    green[x] = src[1];
    blue[x] = src[Blue];
  }
}

/// Calls `four(pixels of 4 bytes, first, count)` for the 3-byte pixels of a row, some at a time.
/// Why the detour: compilers vectorise loads of every 4th byte but not of every 3rd; measured, three times faster.
template <class Four>
void as_four_bytes(const std::uint8_t* src, int width, Four four) noexcept {
  constexpr int most = 256;
  std::uint8_t pixels[4 * most];
  for (int first = 0; first < width; first += most) {
    const int count = std::min(most, width - first);
    // 4 bytes at once, but not behind the row's last pixel.
    for (int x = 0; x < count - 1; ++x) std::memcpy(pixels + 4 * x, src + 3 * (first + x), 4);
    std::memcpy(pixels + 4 * (count - 1), src + 3 * (first + count - 1), 3);
    four(pixels, first, count);
  }
}

template <int Bytes, int Red, int Blue>
void split_colour(const std::uint8_t* src, std::int16_t* dst, std::ptrdiff_t plane_pitch, bool gray,
                  int width) noexcept {
  if constexpr (Bytes == 3) {
    as_four_bytes(src, width, [=](const std::uint8_t* pixels, int first, int count) {
      split_colour<4, Red, Blue>(pixels, dst + first, plane_pitch, gray, count);
    });
  } else if (gray) {
    colour_to_gray<Bytes, Red, Blue>(src, dst, width);
  } else {
    colour_to_planes<Bytes, Red, Blue>(src, dst, plane_pitch, width);
  }
}

}  // namespace

void convert_row(const std::uint8_t* src, PixelFormat from, std::uint8_t* dst, PixelFormat to, int width) noexcept {
  if (from == to) {
    std::memcpy(dst, src, static_cast<std::size_t>(width) * static_cast<std::size_t>(bytes_per_pixel(to)));
    return;
  }
  const bool gray = to == PixelFormat::gray8;
  switch (from) {
    case PixelFormat::rgb8:
      return colour_to_gray<3, 0, 2>(src, dst, width);
    case PixelFormat::bgr8:
      return gray ? colour_to_gray<3, 2, 0>(src, dst, width) : colour_to_rgb<3, 2, 0>(src, dst, width);
    case PixelFormat::rgba8:
      return gray ? colour_to_gray<4, 0, 2>(src, dst, width) : colour_to_rgb<4, 0, 2>(src, dst, width);
    case PixelFormat::bgra8:
      return gray ? colour_to_gray<4, 2, 0>(src, dst, width) : colour_to_rgb<4, 2, 0>(src, dst, width);
    case PixelFormat::gray8:
      for (int x = 0; x < width; ++x) dst[3 * x] = dst[3 * x + 1] = dst[3 * x + 2] = src[x];
  }
}

void split_row(const std::uint8_t* src, PixelFormat from, std::int16_t* dst, std::ptrdiff_t plane_pitch, PixelFormat to,
               int width) noexcept {
  const bool gray = to == PixelFormat::gray8;
  switch (from) {
    case PixelFormat::rgb8:
      return split_colour<3, 0, 2>(src, dst, plane_pitch, gray, width);
    case PixelFormat::bgr8:
      return split_colour<3, 2, 0>(src, dst, plane_pitch, gray, width);
    case PixelFormat::rgba8:
      return split_colour<4, 0, 2>(src, dst, plane_pitch, gray, width);
    case PixelFormat::bgra8:
      return split_colour<4, 2, 0>(src, dst, plane_pitch, gray, width);
    case PixelFormat::gray8:
      for (int x = 0; x < width; ++x) dst[x] = src[x];
  }
}

}  // namespace vitrail
