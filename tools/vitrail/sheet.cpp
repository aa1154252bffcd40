#include "sheet.hpp"

#include <algorithm>
#include <cmath>

#include "drawing.hpp"
#include "vitrail/preprocess.hpp"

namespace vitrail::cli {
namespace {

// All in pixels.
constexpr int kThumbnail = 240;  // side of the square a picture is fitted into
constexpr int kMargin = 16;      // between cards and around them
constexpr int kPadding = 12;     // between a card's edge and its content
constexpr int kTextScale = 2;
constexpr int kLine = 24;  // from one line of text to the next
constexpr int kBar = 6;    // height of the probability bar
constexpr int kCardWidth = kThumbnail + 2 * kPadding;
constexpr int kCardHeight = kPadding + kThumbnail + kPadding + 2 * kLine + kLine + kBar + kPadding;
constexpr int kLettersPerLine = kThumbnail / (kLetterWidth * kTextScale);

constexpr Color kCard{255, 255, 255}, kEdge{214, 209, 198}, kMat{244, 242, 237};
constexpr Color kQuiet{120, 122, 130}, kGlass{38, 99, 176}, kTrack{226, 228, 233};

// A label in at most two lines, broken at blanks where possible; what does not fit ends in "..".
std::vector<std::string> wrap(std::string text) {
  const auto width = static_cast<std::size_t>(kLettersPerLine);
  std::vector<std::string> lines;
  while (text.size() > width && lines.empty()) {
    std::size_t cut = text.rfind(' ', width);
    if (cut == text.npos || cut == 0) cut = width;
    lines.push_back(text.substr(0, cut));
    text.erase(0, text[cut] == ' ' ? cut + 1 : cut);
  }
  if (text.size() > width) text = text.substr(0, width - 2) + "..";
  lines.push_back(text);
  return lines;
}

}  // namespace

Status ContactSheet::add(const ImageView& picture, std::string label, std::string value, double fraction) {
  const double zoom = static_cast<double>(kThumbnail) / std::max(picture.width, picture.height);
  const auto side = [&](int pixels) { return std::clamp(static_cast<int>(std::lround(pixels * zoom)), 1, kThumbnail); };
  auto thumbnail = resize(to_rgb(picture), side(picture.width), side(picture.height), Resampling::bicubic);
  if (!thumbnail) return thumbnail.error();
  cards_.push_back({*std::move(thumbnail), std::move(label), std::move(value), fraction});
  return {};
}

Image ContactSheet::draw() const {
  const int count = static_cast<int>(cards_.size());
  const int columns = static_cast<int>(std::ceil(std::sqrt(count)));
  const int rows = (count + columns - 1) / columns;
  Image sheet(kMargin + columns * (kCardWidth + kMargin), kMargin + rows * (kCardHeight + kMargin), PixelFormat::rgb8);
  fill(sheet, {0, 0, sheet.width(), sheet.height()}, kPaper);

  for (int i = 0; i < count; ++i) {
    const Card& card = cards_[static_cast<std::size_t>(i)];
    const int left = kMargin + (i % columns) * (kCardWidth + kMargin);
    int top = kMargin + (i / columns) * (kCardHeight + kMargin);
    fill(sheet, {left - 1, top - 1, kCardWidth + 2, kCardHeight + 2}, kEdge);
    fill(sheet, {left, top, kCardWidth, kCardHeight}, kCard);

    const int x = left + kPadding;
    top += kPadding;
    fill(sheet, {x, top, kThumbnail, kThumbnail}, kMat);
    paste(sheet, card.thumbnail, x + (kThumbnail - card.thumbnail.width()) / 2,
          top + (kThumbnail - card.thumbnail.height()) / 2);
    top += kThumbnail + kPadding;

    const auto lines = wrap(to_ascii(card.label));
    for (std::size_t line = 0; line < lines.size(); ++line)
      draw_text(sheet, x, top + static_cast<int>(line) * kLine, lines[line], kInk, kTextScale);
    top += 2 * kLine;

    draw_text(sheet, x, top, card.value, kQuiet, kTextScale);
    top += kLine;
    fill(sheet, {x, top, kThumbnail, kBar}, kTrack);
    fill(sheet, {x, top, static_cast<int>(std::lround(card.fraction * kThumbnail)), kBar}, kGlass);
  }
  return sheet;
}

}  // namespace vitrail::cli
