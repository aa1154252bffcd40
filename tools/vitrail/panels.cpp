#include "panels.hpp"

#include <algorithm>

#include "drawing.hpp"
#include "vitrail/preprocess.hpp"

namespace vitrail::cli {
namespace {

constexpr int kMargin = 16, kTitle = 30;  // pixels
constexpr int kTextScale = 2, kWanted = 224;

/// Small pictures are enlarged.
int zoom_of(int width, int height) { return std::max(kWanted / std::max(width, height), 1); }

}  // namespace

Status Panels::check(std::size_t pictures, const ModelInfo& info) {
  const int height = info.image_height * zoom_of(info.image_width, info.image_height);
  const int fit = (max_image_side - kTitle - kMargin) / (height + kMargin);
  const std::size_t most = std::min(kMaxRows, static_cast<std::size_t>(fit));
  if (pictures <= most) return {};
  return Error{ErrorCode::invalid_argument, "-i: found " + std::to_string(pictures) + " pictures, expected at most " +
                                                std::to_string(most) + " of " + std::to_string(height) +
                                                " pixels' height on one sheet"};
}

Image Panels::draw() const {
  const Image& first = rows_[0][0];
  const int zoom = zoom_of(first.width(), first.height());
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
