// Pictures side by side, a title over each column: what `attention`, `features` and `mae` draw.
#pragma once

#include <string>
#include <vector>

#include "vitrail/error.hpp"
#include "vitrail/image.hpp"
#include "vitrail/model.hpp"

namespace vitrail::cli {

class Panels {
 public:
  static constexpr std::size_t kMaxRows = 64;

  explicit Panels(std::vector<std::string> titles) : titles_(std::move(titles)) {}
  /// An error when that many pictures of the network's size are too many for one sheet.
  static Status check(std::size_t pictures, const ModelInfo& info);
  bool empty() const noexcept { return rows_.empty(); }
  /// One rgb8 picture per title, all of one size. Precondition: check() finds room.
  void add(std::vector<Image> row) { rows_.push_back(std::move(row)); }
  /// The finished picture, rgb8. Small pictures are enlarged by whole numbers.
  Image draw() const;

 private:
  std::vector<std::string> titles_;
  std::vector<std::vector<Image>> rows_;
};

/// The picture as the network sees it, rgb8: resized and cropped as `info` says, unless it has that size
/// (SessionOptions::always_preprocess).
Result<Image> network_picture(const ModelInfo& info, const ImageView& image, bool always_preprocess);

}  // namespace vitrail::cli
