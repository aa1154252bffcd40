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
  bool full() const noexcept { return rows_.size() == kMaxRows; }
  bool empty() const noexcept { return rows_.empty(); }
  /// One rgb8 picture per title, all of one size. Precondition: not full.
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
