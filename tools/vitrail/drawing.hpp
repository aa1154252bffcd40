// Drawing on rgb8 pictures: rectangles, pictures and text. Everything is clipped to the picture.
#pragma once

#include <string>
#include <string_view>

#include "vitrail/image.hpp"
#include "vitrail/patches.hpp"

namespace vitrail::cli {

struct Color {
  std::uint8_t r = 0, g = 0, b = 0;
};

constexpr Color kPaper{236, 233, 226}, kInk{33, 37, 47};

/// Mixes `color` into the rectangle; opacity 0 leaves it as it is, 1 covers it.
void fill(Image& dst, PixelRect rect, Color color, double opacity = 1.0);

/// Copies `src` (rgb8) to (x, y), every pixel as a square of zoom · zoom pixels.
void paste(Image& dst, const ImageView& src, int x, int y, int zoom = 1);

/// Any picture as rgb8; alpha is dropped.
Image to_rgb(const ImageView& src);

constexpr int kGlyphWidth = 5, kGlyphHeight = 9;    ///< pixels of a letter at scale 1
constexpr int kLetterWidth = 6, kLetterAscent = 7;  ///< from one letter to the next; a capital's height

/// Whether pixel (x, y) of a letter's glyph is set; letters that are not ASCII are drawn as '?'. Defined in font.cpp.
bool glyph_pixel(char letter, int x, int y) noexcept;

/// Writes UTF-8 text whose first letter's top left corner is (x, y); what is not ASCII becomes '?'.
void draw_text(Image& dst, int x, int y, std::string_view text, Color color, int scale = 1);

/// Pixels `letters` letters take.
constexpr int text_width(int letters, int scale = 1) { return (letters * kLetterWidth - 1) * scale; }

/// UTF-8 → ASCII, one '?' for each letter that is not.
std::string to_ascii(std::string_view text);

}  // namespace vitrail::cli
