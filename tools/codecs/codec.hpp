// What the codecs share. Each decoder turns the bytes of a whole file into an Image; its messages do not name the file,
// load_image() puts the name in front.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vitrail/error.hpp"
#include "vitrail/image.hpp"

namespace vitrail::codec {

using Bytes = std::span<const std::uint8_t>;

// A picture above these is taken for a decompression bomb and refused before its pixels are allocated.
constexpr std::uint64_t kMaxSide = 32768;
constexpr std::uint64_t kMaxPixels = std::uint64_t{1} << 28;

/// "name: why" for a function that ran out of memory. Where there is none for the text either, a few letters need none.
Error no_memory(std::string_view name, const char* why) noexcept;

/// Refuses empty and oversized pictures.
Status check_size(std::uint64_t width, std::uint64_t height);

/// A whole file, at most `max_bytes` long. Messages name the file.
Result<std::vector<std::uint8_t>> read_file(const std::filesystem::path& path, std::uint64_t max_bytes);

/// Success when an array of this shape has `elements` elements. Its bytes must not overflow, also where a length of 0
/// leaves none: who reads the file multiplies the lengths, and refuses it then.
/// @param name  goes in front of messages
/// @param text  the shape as the file's format writes it
Status check_shape(const std::string& name, std::span<const std::size_t> shape, const std::string& text,
                   std::size_t elements, std::size_t element_bytes);

/// What a source says when its rows have all been given, or one of them was damaged.
Error read_before(const std::string& name);

/// @param orientation  EXIF's, undone while the rows are decoded
Result<Image> decode_jpeg(Bytes file, int orientation);
/// Owns the file; `name` goes in front of messages.
Result<std::unique_ptr<RowSource>> open_jpeg(std::vector<std::uint8_t> file, std::string name);
Result<Image> decode_png(Bytes file);
Result<Image> decode_webp(Bytes file);
Result<Image> decode_pnm(Bytes file);
Result<Image> decode_npy(Bytes file);

/// The EXIF orientation, 1 … 8, of a JPEG, PNG or WebP file; 1 where there is none or it makes no sense. Falls back on
/// XMP's tiff:Orientation as Pillow does.
int jpeg_orientation(Bytes file);
int png_orientation(Bytes file);
int webp_orientation(Bytes file);

/// A picture that is turned upright as its rows arrive: undoes EXIF orientation 2 … 8.
class Upright {
 public:
  /// @param width, height  of the picture as it lies in the file
  Upright(int width, int height, PixelFormat format, int orientation);
  /// Takes some whole rows, without gaps; several at once are kinder to the cache where the picture lies on its side.
  void put(int first_row, const std::uint8_t* rows, int count);
  Image take() { return std::move(image_); }

 private:
  int width_, height_;
  bool sideways_, from_right_, from_bottom_;
  Image image_;
};

/// The picture turned upright, perhaps as it is.
Image turn_upright(Image image, int orientation);

/// Grey samples → rgb8.
inline void gray_to_rgb(const std::uint8_t* src, std::uint8_t* dst, int pixels) noexcept {
  for (int x = 0; x < pixels; ++x, dst += 3) dst[0] = dst[1] = dst[2] = src[x];
}

}  // namespace vitrail::codec
