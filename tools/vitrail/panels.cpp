#include "panels.hpp"

#include <algorithm>

#include "drawing.hpp"
#include "vitrail/preprocess.hpp"

namespace vitrail::cli {
namespace {

constexpr int kMargin = 16, kTitle = 30;  // pixels
constexpr int kTextScale = 2, kWanted = 224;

}  // namespace

Image Panels::draw() const {
  const Image& first = rows_[0][0];
  const int zoom = std::max(kWanted / std::max(first.width(), first.height()), 1);
  const int width = first.width() * zoom, height = first.height() * zoom;
  const auto columns = static_cast<int>(titles_.size()), rows = static_cast<int>(rows_.size());
  Image sheet(kMargin + columns * (width + kMargin), kTitle + kMargin + rows * (height + kMargin), PixelFormat::rgb8);
  fill(sheet, {0, 0, sheet.width(), sheet.height()}, kPaper);
  for (int column = 0; column < columns; ++column) {
    const auto c = static_cast<std::size_t>(column);
    const int x = kMargin + column * (width + kMargin);
    draw_text(sheet, x, kMargin, titles_[c], kInk, kTextScale);
    for (int row = 0; row < rows; ++row)
      paste(sheet, rows_[static_cast<std::size_t>(row)][c], x, kTitle + kMargin + row * (height + kMargin), zoom);
  }
  return sheet;
}

Result<Image> network_picture(const ModelInfo& info, const ImageView& image, bool always_preprocess) {
  if (!always_preprocess && image.width == info.image_width && image.height == info.image_height) return to_rgb(image);
  Preprocessor preprocessor(info.preprocess, info.channels);
  const auto seen = preprocessor.run(image);
  if (!seen) return seen.error();
  return to_rgb(*seen);
}

}  // namespace vitrail::cli
