// A contact sheet: pictures with a label and a number underneath (`classify --annotate`, `similar -o`).
#pragma once

#include <string>
#include <vector>

#include "vitrail/error.hpp"
#include "vitrail/image.hpp"

namespace vitrail::cli {

class ContactSheet {
 public:
  static constexpr std::size_t kMaxPictures = 64;

  bool full() const noexcept { return cards_.size() == kMaxPictures; }
  /// Keeps a thumbnail of the picture. `fraction`, 0 … 1, is how long the bar under `value` is. Precondition: not full.
  Status add(const ImageView& picture, std::string label, std::string value, double fraction);
  bool empty() const noexcept { return cards_.empty(); }
  /// The finished sheet, rgb8, as near to a square as the number of pictures allows.
  Image draw() const;

 private:
  struct Card {
    Image thumbnail;
    std::string label, value;
    double fraction = 0;
  };
  std::vector<Card> cards_;
};

}  // namespace vitrail::cli
