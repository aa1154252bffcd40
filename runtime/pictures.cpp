#include "runtime/pictures.hpp"

#include "runtime/argument_error.hpp"
#include "runtime/pixel_rows.hpp"

namespace vitrail {
namespace {

PixelFormat format_of(const VitConfig& c) { return c.channels == 1 ? PixelFormat::gray8 : PixelFormat::rgb8; }

std::ptrdiff_t row_bytes(const VitConfig& c) { return std::ptrdiff_t{c.image_width} * c.channels; }

bool fits(const VitConfig& c, int width, int height) { return width == c.image_width && height == c.image_height; }

}  // namespace

Pictures::Pictures(const PreprocessConfig& config, int channels, int max_batch, const Kernels& kernels,
                   bool always_preprocess)
    : always_preprocess_(always_preprocess),
      own_(static_cast<std::size_t>(max_batch)),
      pixels_(static_cast<std::size_t>(max_batch)) {
  for (int b = 0; b < max_batch; ++b) preprocessors_.push_back(Preprocessor(config, channels, &kernels));
}

bool Pictures::as_it_is(const VitConfig& c, int width, int height) const {
  return fits(c, width, height) && !always_preprocess_;
}

Status Pictures::take(const VitConfig& c, const ImageView& image, std::size_t b) {
  if (auto status = check(image); !status) return status;
  if (!as_it_is(c, image.width, image.height)) return take_processed(c, preprocessors_[b].run(image), b);
  if (image.format == format_of(c)) {
    pixels_[b] = {image.data, image.stride_bytes};
    return {};
  }
  std::uint8_t* dst = own_pixels(c, b);
  for (int y = 0; y < image.height; ++y)
    convert_row(image.row(y), image.format, dst + y * row_bytes(c), format_of(c), image.width);
  return {};
}

Status Pictures::take(const VitConfig& c, RowSource& rows) {
  if (auto status = check(rows); !status) return status;
  if (!as_it_is(c, rows.width(), rows.height())) return take_processed(c, preprocessors_[0].run(rows), 0);
  std::uint8_t* dst = own_pixels(c, 0);
  for (int y = 0; y < rows.height(); ++y) {
    const auto row = rows.next_row();
    if (!row) return row.error();
    if (!*row) return no_row(y);
    convert_row(*row, rows.format(), dst + y * row_bytes(c), format_of(c), rows.width());
  }
  return {};
}

/// What the preprocessing made, if it has the network's size.
Status Pictures::take_processed(const VitConfig& c, const Result<ImageView>& processed, std::size_t b) {
  if (!processed) return processed.error();
  if (!fits(c, processed->width, processed->height)) {
    return argument_error("image", size_text(processed->height, processed->width) + " pixels after preprocessing",
                          size_text(c.image_height, c.image_width));
  }
  pixels_[b] = {processed->data, processed->stride_bytes};
  return {};
}

/// Room of its own for picture `b`; allocates the first time only.
std::uint8_t* Pictures::own_pixels(const VitConfig& c, std::size_t b) {
  own_[b].resize(static_cast<std::size_t>(c.image_height) * static_cast<std::size_t>(row_bytes(c)));
  pixels_[b] = {own_[b].data(), row_bytes(c)};
  return own_[b].data();
}

std::size_t Pictures::memory_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const auto& preprocessor : preprocessors_) bytes += preprocessor.memory_bytes();
  for (const auto& picture : own_) bytes += picture.capacity();
  return bytes;
}

}  // namespace vitrail
