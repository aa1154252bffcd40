// NumPy's .npy: "\x93NUMPY", version, length of the header, a Python dict as text padded to 64 bytes, the elements.
#include <bit>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <new>
#include <optional>
#include <string>

#include "atomic_file.hpp"
#include "codec.hpp"
#include "vitrail/codecs.hpp"

namespace vitrail {
namespace codec {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 30;
constexpr std::size_t kMaxDimensions = 32;  // NumPy's own limit

Error damaged(const std::string& what) { return Error{ErrorCode::bad_file, "damaged .npy: " + what}; }

struct Header {
  std::vector<std::size_t> shape;
  std::size_t elements = 1;
  std::size_t data_at = 0;  // bytes before the elements
};

// What follows 'key': in the header's dict, without leading blanks.
std::optional<std::string_view> value_of(std::string_view dict, std::string_view key) {
  for (const char quote : {'\'', '"'}) {
    const std::string quoted = quote + std::string(key) + quote;
    std::size_t at = dict.find(quoted);
    if (at == dict.npos) continue;
    at = dict.find_first_not_of(' ', at + quoted.size());
    if (at == dict.npos || dict[at] != ':') return std::nullopt;
    at = dict.find_first_not_of(' ', at + 1);
    if (at == dict.npos) return std::nullopt;
    return dict.substr(at);
  }
  return std::nullopt;
}

// "(480, 640, 3)", "(7,)" or "()".
Status parse_shape(std::string_view tuple, Header& header) {
  const std::size_t end = tuple.find(')');
  if (!tuple.starts_with('(') || end == tuple.npos) return damaged("its shape is not a tuple");
  for (std::size_t at = 1; at < end;) {
    if (tuple[at] == ' ' || tuple[at] == ',') {
      ++at;
      continue;
    }
    std::uint64_t length = 0;
    const auto [stop, error] = std::from_chars(tuple.data() + at, tuple.data() + end, length);
    if (error != std::errc() || header.shape.size() == kMaxDimensions) return damaged("its shape cannot be read");
    // The product is checked at every step, so it cannot overflow.
    if (length > kMaxElements || header.elements * length > kMaxElements)
      return Error{ErrorCode::unsupported, ".npy of more than 2^30 elements"};
    header.shape.push_back(length);
    header.elements *= length;
    at = static_cast<std::size_t>(stop - tuple.data());
  }
  return {};
}

Result<Header> parse_header(Bytes file) {
  if (file.size() < 10 || std::memcmp(file.data(), kMagic.data(), kMagic.size()) != 0)
    return damaged("it does not start with \\x93NUMPY");
  const int version = file[6];
  if (version < 1 || version > 3) return damaged("format version " + std::to_string(version) + ", expected 1, 2 or 3");
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  if (file.size() < 8 + length_bytes) return damaged("the header is cut off");
  std::size_t length = 0;
  for (std::size_t i = 0; i < length_bytes; ++i) length |= std::size_t{file[8 + i]} << (8 * i);
  Header header;
  header.data_at = 8 + length_bytes;
  if (length > file.size() - header.data_at) return damaged("the header is cut off");
  const std::string_view dict(reinterpret_cast<const char*>(file.data()) + header.data_at, length);
  header.data_at += length;

  const auto type = value_of(dict, "descr"), fortran = value_of(dict, "fortran_order"), shape = value_of(dict, "shape");
  if (!type || !fortran || !shape) return damaged("the header must hold descr, fortran_order and shape");
  const std::string_view element = type->substr(0, 5);
  if (element != "'|u1'" && element != "\"|u1\"" && element != "'|b1'" && element != "\"|b1\"")
    return Error{ErrorCode::unsupported, ".npy with elements of type " +
                                             std::string(type->substr(0, std::min<std::size_t>(type->find(','), 32))) +
                                             ", expected '|u1' (uint8) or '|b1' (bool)"};
  if (!fortran->starts_with("False")) return Error{ErrorCode::unsupported, ".npy in Fortran order, expected C order"};
  if (const Status good = parse_shape(*shape, header); !good) return good.error();
  if (file.size() - header.data_at < header.elements)
    return damaged(std::to_string(file.size() - header.data_at) + " bytes of elements, expected " +
                   std::to_string(header.elements));
  return header;
}

std::string to_text(std::span<const std::size_t> shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

Status save(const std::filesystem::path& path, std::span<const std::size_t> shape, const char* type, const void* data,
            std::size_t elements, std::size_t element_bytes) try {
  static_assert(std::endian::native == std::endian::little, "save_npy writes the machine's bytes as little-endian");
  if (shape.size() > kMaxDimensions)
    return Error{ErrorCode::invalid_argument, path.string() + ": shape: found " + std::to_string(shape.size()) +
                                                  " dimensions, expected at most " + std::to_string(kMaxDimensions)};
  if (const Status good = check_shape(path.string(), shape, to_text(shape), elements, element_bytes); !good)
    return good;
  std::string dict =
      std::string("{'descr': '") + type + "', 'fortran_order': False, 'shape': " + to_text(shape) + ", }";
  dict.append(63 - (kMagic.size() + 4 + dict.size()) % 64, ' ');  // the elements start at a multiple of 64 bytes
  dict += '\n';
  std::string head(kMagic);
  head += {'\x01', '\x00', static_cast<char>(dict.size() & 0xff), static_cast<char>(dict.size() >> 8)};
  head += dict;

  auto file = AtomicFile::create(path);
  if (!file) return file.error();
  std::fwrite(head.data(), 1, head.size(), file->file());
  if (elements > 0) std::fwrite(data, element_bytes, elements, file->file());
  return file->commit();  // notices failed writes
} catch (const std::bad_alloc&) {
  return no_memory(path.native(), "to write it");
}

}  // namespace

Result<Image> decode_npy(Bytes file) {
  const auto header = parse_header(file);
  if (!header) return header.error();
  const auto& shape = header->shape;
  const std::size_t channels = shape.size() == 3 ? shape[2] : 1;
  if ((shape.size() != 2 && shape.size() != 3) || (channels != 1 && channels != 3 && channels != 4))
    return Error{ErrorCode::unsupported,
                 ".npy of shape " + to_text(shape) + ", expected (height, width) or (height, width, 1 | 3 | 4)"};
  if (const Status size = check_size(shape[1], shape[0]); !size) return size.error();
  const PixelFormat format = channels == 1   ? PixelFormat::gray8
                             : channels == 3 ? PixelFormat::rgb8
                                             : PixelFormat::rgba8;
  Image image(static_cast<int>(shape[1]), static_cast<int>(shape[0]), format);
  std::memcpy(image.row(0), file.data() + header->data_at, header->elements);
  return image;
}

}  // namespace codec

Result<NpyArray> load_npy_u8(const std::filesystem::path& path) try {
  const auto file = codec::read_file(path, codec::kMaxElements + (std::uint64_t{1} << 20));
  if (!file) return file.error();
  const auto header = codec::parse_header(*file);
  if (!header) return Error{header.error().code, path.string() + ": " + header.error().message};
  const auto first = file->begin() + static_cast<std::ptrdiff_t>(header->data_at);
  return NpyArray{header->shape, {first, first + static_cast<std::ptrdiff_t>(header->elements)}};
} catch (const std::bad_alloc&) {
  return codec::no_memory(path.native(), "to read it");
}

Status save_npy(const std::filesystem::path& path, std::span<const std::size_t> shape, std::span<const float> data) {
  return codec::save(path, shape, "<f4", data.data(), data.size(), sizeof(float));
}

Status save_npy(const std::filesystem::path& path, std::span<const std::size_t> shape,
                std::span<const std::uint8_t> data) {
  return codec::save(path, shape, "|u1", data.data(), data.size(), 1);
}

}  // namespace vitrail
