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

template <int Bytes, int Red, int Blue>
void colour_to_gray(const std::uint8_t* src, std::uint8_t* dst, int width) noexcept {
  for (int x = 0; x < width; ++x, src += Bytes) dst[x] = luma(src[Red], src[1], src[Blue]);
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

void split_row(const Kernels& kernels, const std::uint8_t* src, PixelFormat from, std::int16_t* dst,
               std::ptrdiff_t plane_pitch, PixelFormat to, int width) noexcept {
  const int bytes = bytes_per_pixel(from);
  const bool blue_first = from == PixelFormat::bgr8 || from == PixelFormat::bgra8;
  const auto order = [=](std::int16_t* red, std::int16_t* green, std::int16_t* blue) {
    return blue_first ? Planes{blue, green, red} : Planes{red, green, blue};
  };
  if (from == PixelFormat::gray8) {
    for (int x = 0; x < width; ++x) dst[x] = src[x];
  } else if (to == PixelFormat::rgb8) {
    kernels.split_pixels(src, bytes, width, order(dst, dst + plane_pitch, dst + 2 * plane_pitch));
  } else {
    constexpr int most = 256;
    std::int16_t red[most], green[most], blue[most];
    for (int first = 0; first < width; first += most) {
      const int count = std::min(most, width - first);
      kernels.split_pixels(src + static_cast<std::ptrdiff_t>(first) * bytes, bytes, count, order(red, green, blue));
      for (int x = 0; x < count; ++x)
        dst[first + x] =
            luma(static_cast<unsigned>(red[x]), static_cast<unsigned>(green[x]), static_cast<unsigned>(blue[x]));
    }
  }
}

}  // namespace vitrail
