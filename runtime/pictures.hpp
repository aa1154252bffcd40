// From pictures of any kind to the pixels of one run: u8, of the network's size and format.
#pragma once

#include <span>
#include <vector>

#include "runtime/vit.hpp"
#include "vitrail/preprocess.hpp"

namespace vitrail {

class Pictures {
 public:
  /// @param kernels  must outlive this object
  /// @param always_preprocess  also pictures that have the network's size
  Pictures(const PreprocessConfig& config, int channels, int max_batch, const Kernels& kernels, bool always_preprocess);

  /// Picture `b` of the next run: borrowed where it has the network's size and format already; reordered; or resized
  /// and cropped.
  Status take(const VitConfig& c, const ImageView& image, std::size_t b);
  /// Its only picture, row by row.
  Status take(const VitConfig& c, RowSource& rows);

  /// Of what is kept from run to run.
  std::size_t memory_bytes() const noexcept;

  std::span<const Pixels> first(std::size_t count) const { return std::span(pixels_).first(count); }

 private:
  Status take_processed(const VitConfig& c, const Result<ImageView>& processed, std::size_t b);
  std::uint8_t* own_pixels(const VitConfig& c, std::size_t b);
  bool as_it_is(const VitConfig& c, int width, int height) const;

  bool always_preprocess_;
  std::vector<Preprocessor> preprocessors_;     ///< one per picture: each keeps its result until the run is over
  std::vector<std::vector<std::uint8_t>> own_;  ///< pictures of the network's size that cannot be borrowed
  std::vector<Pixels> pixels_;
};

}  // namespace vitrail
