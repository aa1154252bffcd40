// load_image(): finds the codec by the file's first bytes.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "codec.hpp"
#include "vitrail/codecs.hpp"

namespace vitrail {
namespace codec {

Error no_memory(std::string_view name, const char* why) noexcept try {
  return {ErrorCode::out_of_memory, std::string(name) + ": not enough memory " + why};
} catch (const std::bad_alloc&) {
  return {ErrorCode::out_of_memory, "out of memory"};
}

Status check_size(std::uint64_t width, std::uint64_t height) {
  const std::string found = std::to_string(height) + " × " + std::to_string(width) + " pixels";
  if (width == 0 || height == 0) return Error{ErrorCode::bad_file, "the picture is empty: " + found};
  if (width > kMaxSide || height > kMaxSide || width * height > kMaxPixels)
    return Error{ErrorCode::unsupported,
                 "the picture is too large: " + found + "; at most 32768 a side and 2^28 in all"};
  return {};
}

Result<std::vector<std::uint8_t>> read_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  const auto failed = [&](const std::string& why) { return Error{ErrorCode::io, path.string() + ": " + why}; };
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return failed("is a folder, not a file");
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) return failed(std::string("cannot be opened: ") + std::strerror(errno));

  // In blocks until the end, not by the size asked beforehand: pipes have none.
  constexpr std::size_t kBlock = std::size_t{1} << 20;
  std::vector<std::uint8_t> bytes;
  if (const auto size = std::filesystem::file_size(path, ignored); !ignored && size <= max_bytes)
    bytes.reserve(size + 1);
  for (std::size_t got = 1; got > 0;) {
    const std::size_t used = bytes.size();
    bytes.resize(used < bytes.capacity() ? std::min(bytes.capacity(), used + kBlock) : used + kBlock);
    got = std::fread(bytes.data() + used, 1, bytes.size() - used, file.get());
    bytes.resize(used + got);
    if (bytes.size() > max_bytes) return failed("is larger than " + std::to_string(max_bytes >> 20) + " MiB");
  }
  if (std::ferror(file.get())) return failed(std::string("cannot be read: ") + std::strerror(errno));
  return bytes;
}

Status check_shape(const std::string& name, std::span<const std::size_t> shape, const std::string& text,
                   std::size_t elements, std::size_t element_bytes) {
  bool empty = false;
  std::size_t bytes = element_bytes;  // without the lengths of 0
  for (const std::size_t length : shape) {
    empty = empty || length == 0;
    if (length > 0 && length > PTRDIFF_MAX / bytes)
      return Error{ErrorCode::invalid_argument, name + ": shape: found " + text + ", whose size overflows"};
    if (length > 0) bytes *= length;
  }
  if ((empty ? 0 : bytes / element_bytes) == elements) return {};
  return Error{ErrorCode::invalid_argument,
               name + ": " + std::to_string(elements) + " elements do not fill the shape " + text};
}

Error read_before(const std::string& name) {
  return Error{ErrorCode::invalid_argument,
               name + ": found a source that was read, expected one that was not: open the file again"};
}

namespace {

bool starts_with(Bytes file, std::string_view magic) {
  return file.size() >= magic.size() && std::memcmp(file.data(), magic.data(), magic.size()) == 0;
}

std::string first_bytes(Bytes file) {
  if (file.empty()) return "is empty";
  std::string text = "starts with";
  for (const std::uint8_t byte : file.first(std::min<std::size_t>(file.size(), 8))) {
    char hex[4];
    std::snprintf(hex, sizeof hex, " %02x", byte);
    text += hex;
  }
  return text;
}

bool is_jpeg(Bytes file) { return starts_with(file, "\xff\xd8\xff"); }

Result<Image> decode(Bytes file, bool apply_exif) {
  const auto upright = [&](Result<Image> image, int (*orientation)(Bytes)) -> Result<Image> {
    if (!image || !apply_exif) return image;
    return turn_upright(*std::move(image), orientation(file));
  };
  if (is_jpeg(file)) return decode_jpeg(file, apply_exif ? jpeg_orientation(file) : 1);
  if (starts_with(file, "\x89PNG\r\n\x1a\n")) return upright(decode_png(file), png_orientation);
  if (starts_with(file, "RIFF") && file.size() >= 12 && starts_with(file.subspan(8), "WEBP"))
    return upright(decode_webp(file), webp_orientation);
  if (starts_with(file, "P5") || starts_with(file, "P6")) return decode_pnm(file);
  if (starts_with(file, "\x93NUMPY")) return decode_npy(file);
  return Error{ErrorCode::unsupported, "not a JPEG, PNG, WebP, PNM (P5, P6) or .npy file: it " + first_bytes(file)};
}

/// The largest picture allowed, uncompressed with four samples per pixel, and room for metadata.
Result<std::vector<std::uint8_t>> read_picture(const std::filesystem::path& path) {
  return read_file(path, kMaxPixels * 4 + (std::uint64_t{1} << 24));
}

/// The rows of a picture that is whole already.
class ImageRows : public RowSource {
 public:
  ImageRows(Image image, std::string name)
      : RowSource(image.width(), image.height(), image.format()), image_(std::move(image)), name_(std::move(name)) {}
  Result<const std::uint8_t*> next_row() override {
    if (next_ == height()) return read_before(name_);
    return static_cast<const std::uint8_t*>(image_.row(next_++));
  }

 private:
  Image image_;
  std::string name_;
  int next_ = 0;
};

}  // namespace
}  // namespace codec

Result<Image> load_image(std::span<const std::uint8_t> bytes, std::string_view name,
                         const LoadImageOptions& options) try {
  Result<Image> image = codec::decode(bytes, options.apply_exif);
  if (image) return image;
  return Error{image.error().code, std::string(name) + ": " + image.error().message};
} catch (const std::bad_alloc&) {
  return codec::no_memory(name, "for its pixels");
}

Result<Image> load_image(const std::filesystem::path& path, const LoadImageOptions& options) try {
  const auto bytes = codec::read_picture(path);
  if (!bytes) return bytes.error();
  return load_image(*bytes, path.string(), options);
} catch (const std::bad_alloc&) {
  return codec::no_memory(path.native(), "to read it");
}

Result<std::unique_ptr<RowSource>> open_image(const std::filesystem::path& path, const LoadImageOptions& options) try {
  auto bytes = codec::read_picture(path);
  if (!bytes) return bytes.error();
  if (codec::is_jpeg(*bytes) && (!options.apply_exif || codec::jpeg_orientation(*bytes) == 1))
    return codec::open_jpeg(*std::move(bytes), path.string());
  auto image = load_image(*bytes, path.string(), options);
  if (!image) return image.error();
  return std::unique_ptr<RowSource>(std::make_unique<codec::ImageRows>(*std::move(image), path.string()));
} catch (const std::bad_alloc&) {
  return codec::no_memory(path.native(), "to read it");
}

}  // namespace vitrail
