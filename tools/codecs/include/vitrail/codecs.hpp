// Picture files ↔ pixels. A library of its own: an application that feeds camera frames does not link it.
//
//   load_image   JPEG, PNG, WebP, PNM (P5, P6) and .npy → Image, the bytes Pillow gives; open_image: row by row
//   save_png     Image → PNG
//   save_npy     numbers → NumPy's .npy; load_npy_u8 is the way back for bytes
//   save_safetensors   several arrays by name
//
// Everything here is safe to call from many threads at once. Damaged files give an Error, never undefined behaviour.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vitrail/error.hpp"
#include "vitrail/image.hpp"

namespace vitrail {

struct LoadImageOptions {
  /// Turn the picture as its EXIF orientation says (Pillow's ImageOps.exif_transpose). Of a PNG, its eXIf chunk and
  /// plain XMP are read, but no text profiles of ImageMagick and no compressed XMP.
  bool apply_exif = true;
};

/// Reads a picture; the format is told by the file's first bytes, not by its name.
///
///  * JPEG, PNG, WebP (not animated), PNM → rgb8, byte for byte what Pillow's `Image.open(file).convert("RGB")` gives.
///    Alpha is dropped without blending, gamma and colour profiles are ignored; 16-bit grey is clipped at 255, 16-bit
///    colour keeps its high byte.
///
///  * .npy of u8 [height, width] or [height, width, 1 | 3 | 4] → gray8, rgb8 or rgba8, as it is.
///
/// At most 32768 pixels a side and 2^28 pixels. A file that is truncated, or whose pixels are found damaged, is
/// refused, also where libjpeg would only warn.
Result<Image> load_image(const std::filesystem::path& path, const LoadImageOptions& options = {});

/// The same from memory; `name` is what error messages call it.
Result<Image> load_image(std::span<const std::uint8_t> bytes, std::string_view name,
                         const LoadImageOptions& options = {});

/// A picture file to be read row by row; the rows and the errors are those of load_image(). A JPEG that is upright is
/// decoded as its rows are asked for, so that it is never whole in memory (but for the coefficients of a progressive
/// one, which libjpeg keeps); anything else is decoded now.
///
/// A source is read once. After its last row, or one that was damaged, next_row() gives an error (invalid_argument),
/// and so does what reads it again: open the file again.
Result<std::unique_ptr<RowSource>> open_image(const std::filesystem::path& path, const LoadImageOptions& options = {});

// The writers below write beside the target and rename at the end: a reader never sees half a file, and a failure
// leaves what was there before. A target that is not a regular file (a pipe, a device) is written directly. What fails
// is an error: invalid_argument, io or out_of_memory.

/// @param image  any format; gray8 is written as grey, rgba8 and bgra8 with their alpha
Status save_png(const ImageView& image, const std::filesystem::path& path);

/// An array as `numpy.save` writes it, in C order. `data` has as many elements as the product of `shape`, which has at
/// most 32 lengths; what NumPy could not read is refused (invalid_argument).
Status save_npy(const std::filesystem::path& path, std::span<const std::size_t> shape, std::span<const float> data);
Status save_npy(const std::filesystem::path& path, std::span<const std::size_t> shape,
                std::span<const std::uint8_t> data);

/// An array of a safetensors file, in C order; as many elements as the product of `shape`.
struct NamedArray {
  std::string name;
  std::vector<std::size_t> shape;
  std::span<const float> data;
};

/// f32 arrays in the given order. Names and metadata are UTF-8, no two arrays have one name and no two metadata one
/// key, and no array is named `__metadata__`; anything else is refused (invalid_argument).
Status save_safetensors(const std::filesystem::path& path, std::span<const NamedArray> arrays,
                        std::span<const std::pair<std::string, std::string>> metadata = {});

/// A u8 array in C order.
struct NpyArray {
  std::vector<std::size_t> shape;
  std::vector<std::uint8_t> data;
};

/// Reads a .npy of bytes (descr `|u1`; `|b1`: as 0 and 1) in C order, at most 2^30 of them.
Result<NpyArray> load_npy_u8(const std::filesystem::path& path);

}  // namespace vitrail
