// Which way up a picture is: the EXIF orientation inside JPEG and PNG, and turning the pixels upright. Files are
// hostile here: every read is checked against the end of the data.
#include <cstring>
#include <optional>
#include <string_view>

#include "codec.hpp"

namespace vitrail::codec {
namespace {

constexpr std::uint16_t kOrientationTag = 0x0112;
constexpr std::string_view kExifHeader("Exif\0\0", 6);
constexpr std::string_view kXmpHeader("http://ns.adobe.com/xap/1.0/\0", 29);

std::string_view text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// Big- or little-endian numbers of a TIFF block; nothing outside it can be read.
class Reader {
 public:
  Reader(Bytes data, bool big_endian) : data_(data), big_endian_(big_endian) {}

  std::optional<std::uint32_t> u16(std::size_t at) const { return number(at, 2); }
  std::optional<std::uint32_t> u32(std::size_t at) const { return number(at, 4); }

 private:
  std::optional<std::uint32_t> number(std::size_t at, std::size_t size) const {
    if (at > data_.size() || size > data_.size() - at) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | data_[at + (big_endian_ ? i : size - 1 - i)];
    return value;
  }

  Bytes data_;
  bool big_endian_;
};

// The orientation tag in the first directory of a TIFF block, which is what EXIF is. Nothing when the tag is not there.
std::optional<int> tiff_orientation(Bytes tiff) {
  const bool big_endian = text(tiff).starts_with("MM");
  if (!big_endian && !text(tiff).starts_with("II")) return std::nullopt;
  const Reader reader(tiff, big_endian);
  if (reader.u16(2) != 42u) return std::nullopt;
  const auto directory = reader.u32(4);
  if (!directory) return std::nullopt;
  const auto entries = reader.u16(*directory);
  for (std::size_t i = 0; entries && i < *entries; ++i) {
    // An entry is tag u16, type u16, count u32 and four bytes that hold the value or, if it is longer, where it lies.
    const std::size_t entry = std::size_t{*directory} + 2 + 12 * i;
    if (reader.u16(entry) != kOrientationTag) continue;
    const auto type = reader.u16(entry + 2);
    const auto count = reader.u32(entry + 4);
    if (!type || !count || *count == 0 || (*type != 3 && *type != 4)) return 1;
    const bool is_short = *type == 3;
    const auto far = reader.u32(entry + 8);
    const std::size_t at = *count > (is_short ? 2u : 1u) ? far.value_or(0xffffffffu) : entry + 8;
    const auto value = is_short ? reader.u16(at) : reader.u32(at);
    return value && *value >= 1 && *value <= 8 ? static_cast<int>(*value) : 1;
  }
  return std::nullopt;
}

std::optional<int> xmp_orientation(std::string_view xmp) {
  constexpr std::string_view key = "tiff:Orientation";
  for (std::size_t at = xmp.find(key); at != xmp.npos; at = xmp.find(key, at + 1)) {
    std::string_view rest = xmp.substr(at + key.size());
    if (rest.starts_with("=\""))
      rest.remove_prefix(2);
    else if (rest.starts_with(">"))
      rest.remove_prefix(1);
    else
      continue;
    if (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') return rest[0] >= '1' && rest[0] <= '8' ? rest[0] - '0' : 1;
  }
  return std::nullopt;
}

}  // namespace

int jpeg_orientation(Bytes file) {
  std::vector<std::uint8_t> exif;  // long EXIF is spread over several segments
  std::string_view xmp;
  for (std::size_t at = 2; at + 4 <= file.size();) {
    if (file[at] != 0xff) {
      ++at;
      continue;
    }
    const int marker = file[at + 1];
    if (marker == 0xda || marker == 0xd9) break;  // the pixels begin, or the end
    if (marker == 0xff || marker == 0 || marker == 1 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += marker == 0xff ? 1 : 2;  // padding, or a marker without a body
      continue;
    }
    const std::size_t length = std::size_t{file[at + 2]} << 8 | file[at + 3];  // counts itself, not the marker
    if (length < 2 || length > file.size() - at - 2) break;
    const Bytes body = file.subspan(at + 4, length - 2);
    if (marker == 0xe1 && text(body).starts_with(kExifHeader)) {
      exif.insert(exif.end(), body.begin() + kExifHeader.size(), body.end());
    } else if (marker == 0xe1 && text(body).starts_with(kXmpHeader)) {
      xmp = text(body).substr(kXmpHeader.size());
    }
    at += 2 + length;
  }
  const auto found = tiff_orientation(exif);
  return found ? *found : xmp_orientation(xmp).value_or(1);
}

int png_orientation(Bytes file) {
  std::optional<int> found;
  std::string_view xmp;
  const Reader reader(file, true);
  for (std::size_t at = 8;;) {  // behind the signature; a chunk is length u32, type, body, checksum u32
    const auto length = reader.u32(at);
    if (!length || file.size() - at < 12 || *length > file.size() - at - 12) break;
    const std::string_view type = text(file.subspan(at + 4, 4));
    Bytes body = file.subspan(at + 8, *length);
    if (type == "eXIf") {
      if (text(body).starts_with(kExifHeader)) body = body.subspan(kExifHeader.size());
      found = tiff_orientation(body);
    } else if (type == "iTXt" && text(body).starts_with(std::string_view("XML:com.adobe.xmp\0\0", 19))) {
      xmp = text(body);
    }
    at += 12 + std::size_t{*length};
  }
  return found ? *found : xmp_orientation(xmp).value_or(1);
}

int webp_orientation(Bytes file) {
  if (const auto length = Reader(file, false).u32(4))
    file = file.first(std::min<std::size_t>(file.size(), 8 + std::size_t{*length}));
  std::optional<int> found;
  std::string_view xmp;
  const Reader reader(file, false);
  for (std::size_t at = 12;;) {  // behind RIFF, its length and WEBP; a chunk is type, length u32, body, padding to 2
    const auto length = reader.u32(at + 4);
    if (!length || *length > file.size() - at - 8) break;
    const std::string_view type = text(file.subspan(at, 4));
    Bytes body = file.subspan(at + 8, *length);
    if (type == "EXIF") {
      if (text(body).starts_with(kExifHeader)) body = body.subspan(kExifHeader.size());
      found = tiff_orientation(body);
    } else if (type == "XMP ") {
      xmp = text(body);
    }
    at += 8 + std::size_t{*length} + *length % 2;
  }
  return found ? *found : xmp_orientation(xmp).value_or(1);
}

// 5 … 8 lie on their side. Each turn says where the pixel (x, y) of the upright picture was.
Upright::Upright(int width, int height, PixelFormat format, int orientation)
    : width_(width),
      height_(height),
      sideways_(orientation >= 5),
      from_right_(orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8),
      from_bottom_(orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7),
      image_(sideways_ ? height : width, sideways_ ? width : height, format) {}

void Upright::put(int first_row, const std::uint8_t* rows, int count) {
  const auto pixel = static_cast<std::size_t>(bytes_per_pixel(image_.format()));
  const std::size_t row_bytes = static_cast<std::size_t>(width_) * pixel;
  const auto copy = [&](int x, int y) {
    const int column = from_right_ ? width_ - 1 - x : x, row = from_bottom_ ? height_ - 1 - y : y;
    std::uint8_t* dst = sideways_ ? image_.row(column) + static_cast<std::size_t>(row) * pixel
                                  : image_.row(row) + static_cast<std::size_t>(column) * pixel;
    std::memcpy(dst, rows + static_cast<std::size_t>(y - first_row) * row_bytes + static_cast<std::size_t>(x) * pixel,
                pixel);
  };
  if (sideways_)
    for (int x = 0; x < width_; ++x)
      for (int y = first_row; y < first_row + count; ++y) copy(x, y);
  else
    for (int y = first_row; y < first_row + count; ++y)
      for (int x = 0; x < width_; ++x) copy(x, y);
}

Image turn_upright(Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  Upright upright(image.width(), image.height(), image.format(), orientation);
  upright.put(0, image.row(0), image.height());
  return upright.take();
}

}  // namespace vitrail::codec
