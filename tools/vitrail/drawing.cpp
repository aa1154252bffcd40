#include "drawing.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace vitrail::cli {

void fill(Image& dst, PixelRect rect, Color color, double opacity) {
  const int x0 = std::max(rect.x, 0), x1 = std::min(rect.x + rect.width, dst.width());
  const int y0 = std::max(rect.y, 0), y1 = std::min(rect.y + rect.height, dst.height());
  const std::uint8_t target[3] = {color.r, color.g, color.b};
  for (int y = y0; y < y1; ++y) {
    std::uint8_t* pixel = dst.row(y) + 3 * static_cast<std::ptrdiff_t>(x0);
    for (int x = x0; x < x1; ++x, pixel += 3) {
      for (int c = 0; c < 3; ++c)
        pixel[c] = static_cast<std::uint8_t>(std::lround(pixel[c] + opacity * (target[c] - pixel[c])));
    }
  }
}

void paste(Image& dst, const ImageView& src, int x, int y, int zoom) {
  const int x0 = std::max(x, 0), x1 = std::min(x + src.width * zoom, dst.width());
  const int y0 = std::max(y, 0), y1 = std::min(y + src.height * zoom, dst.height());
  for (int to_y = y0; to_y < y1; ++to_y) {
    const std::uint8_t* from = src.row((to_y - y) / zoom);
    std::uint8_t* to = dst.row(to_y) + 3 * static_cast<std::ptrdiff_t>(x0);
    for (int to_x = x0; to_x < x1; ++to_x, to += 3) std::memcpy(to, from + 3 * ((to_x - x) / zoom), 3);
  }
}

Image to_rgb(const ImageView& src) {
  Image rgb(src.width, src.height, PixelFormat::rgb8);
  const int step = bytes_per_pixel(src.format);
  const bool is_gray = src.format == PixelFormat::gray8;
  const bool is_bgr = src.format == PixelFormat::bgr8 || src.format == PixelFormat::bgra8;
  for (int y = 0; y < src.height; ++y) {
    const std::uint8_t* from = src.row(y);
    std::uint8_t* to = rgb.row(y);
    for (int x = 0; x < src.width; ++x, from += step, to += 3) {
      for (int c = 0; c < 3; ++c) to[c] = from[is_gray ? 0 : is_bgr ? 2 - c : c];
    }
  }
  return rgb;
}

void draw_text(Image& dst, int x, int y, std::string_view text, Color color, int scale) {
  for (const char letter : to_ascii(text)) {
    for (int row = 0; row < kGlyphHeight; ++row) {
      for (int column = 0; column < kGlyphWidth; ++column) {
        if (!glyph_pixel(letter, column, row)) continue;
        fill(dst, {x + column * scale, y + row * scale, scale, scale}, color);
      }
    }
    x += kLetterWidth * scale;
  }
}

std::string to_ascii(std::string_view text) {
  std::string ascii;
  for (const char byte : text) {
    const auto value = static_cast<unsigned char>(byte);
    if ((value & 0xc0) == 0x80) continue;  // the rest of a letter that began before
    ascii += value >= 0x20 && value < 0x7f ? byte : '?';
  }
  return ascii;
}

}  // namespace vitrail::cli
