#include "vitrail/image.hpp"

#include <string>

#include "runtime/argument_error.hpp"
#include "runtime/storage.hpp"

namespace vitrail {

int bytes_per_pixel(PixelFormat format) noexcept {
  switch (format) {
    case PixelFormat::rgb8:
    case PixelFormat::bgr8:
      return 3;
    case PixelFormat::rgba8:
    case PixelFormat::bgra8:
      return 4;
    case PixelFormat::gray8:
      return 1;
  }
  return 0;
}

namespace {

Status check(int width, int height, PixelFormat format) {
  if (bytes_per_pixel(format) == 0)
    return argument_error("image.format", std::to_string(static_cast<int>(format)), "a PixelFormat");
  if (Status status = check_range("image.width", width, 1, max_image_side); !status) return status;
  return check_range("image.height", height, 1, max_image_side);
}

}  // namespace

Status check(const RowSource& source) { return check(source.width(), source.height(), source.format()); }

Status check(const ImageView& image) {
  if (image.data == nullptr) return argument_error("image.data", "null", "a pointer to the first row");
  if (Status status = check(image.width, image.height, image.format); !status) return status;
  const int pixel_bytes = bytes_per_pixel(image.format);
  const std::ptrdiff_t row_bytes = static_cast<std::ptrdiff_t>(image.width) * pixel_bytes;
  if (image.stride_bytes < row_bytes && image.stride_bytes > -row_bytes) {
    return argument_error("image.stride_bytes", std::to_string(image.stride_bytes),
                          "at least " + std::to_string(row_bytes) + " (" + std::to_string(image.width) + " pixels of " +
                              std::to_string(pixel_bytes) + " bytes), or its negative");
  }
  return {};
}

Image::Image(int width, int height, PixelFormat format)
    : pixels_(addressable<std::uint8_t>(static_cast<std::uint64_t>(width) * static_cast<std::uint64_t>(height) *
                                        static_cast<std::uint64_t>(bytes_per_pixel(format)))),
      width_(width),
      height_(height),
      format_(format) {}

std::size_t Image::row_bytes() const noexcept {
  return static_cast<std::size_t>(width_) * static_cast<std::size_t>(bytes_per_pixel(format_));
}

ImageView Image::view() const noexcept {
  return {pixels_.data(), width_, height_, static_cast<std::ptrdiff_t>(row_bytes()), format_};
}

}  // namespace vitrail
