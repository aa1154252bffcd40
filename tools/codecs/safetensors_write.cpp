// safetensors: length of the header (u64, little-endian), the header as JSON, the elements.
#include <bit>
#include <cstdio>
#include <string>

#include "atomic_file.hpp"
#include "vitrail/codecs.hpp"

namespace vitrail {
namespace {

std::string json_string(std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20)
      out += c;
    else
      out += std::string("\\u00") + digits[c >> 4] + digits[c & 15];
  }
  return out + "\"";
}

}  // namespace

Status save_safetensors(const std::filesystem::path& path, std::span<const NamedArray> arrays,
                        std::span<const std::pair<std::string, std::string>> metadata) {
  static_assert(std::endian::native == std::endian::little, "the machine's bytes are written as little-endian");
  std::string header = "{";
  if (!metadata.empty()) {
    header += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata)
      header += (header.back() == '{' ? "" : ",") + json_string(key) + ":" + json_string(value);
    header += "}";
  }
  std::size_t at = 0;
  for (const NamedArray& array : arrays) {
    std::size_t elements = 1;
    std::string shape;
    for (const std::size_t length : array.shape) {
      elements *= length;
      shape += (shape.empty() ? "" : ",") + std::to_string(length);
    }
    if (elements != array.data.size())
      return Error{ErrorCode::invalid_argument, path.string() + ": " + array.name + ": " +
                                                    std::to_string(array.data.size()) +
                                                    " elements do not fill the shape [" + shape + "]"};
    const std::size_t end = at + array.data.size_bytes();
    header += (header.back() == '{' ? "" : ",") + json_string(array.name) + ":{\"dtype\":\"F32\",\"shape\":[" + shape +
              "],\"data_offsets\":[" + std::to_string(at) + "," + std::to_string(end) + "]}";
    at = end;
  }
  header += "}";
  header.append(7 - (header.size() + 7) % 8, ' ');  // the elements start at a multiple of 8 bytes

  auto file = codec::AtomicFile::create(path);
  if (!file) return file.error();
  const std::uint64_t length = header.size();
  std::fwrite(&length, sizeof length, 1, file->file());
  std::fwrite(header.data(), 1, header.size(), file->file());
  for (const NamedArray& array : arrays) {
    if (!array.data.empty()) std::fwrite(array.data.data(), sizeof(float), array.data.size(), file->file());
  }
  return file->commit();  // notices failed writes
}

}  // namespace vitrail
