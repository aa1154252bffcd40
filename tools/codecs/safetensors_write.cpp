// safetensors: length of the header (u64, little-endian), the header as JSON, the elements.
#include <bit>
#include <cstdio>
#include <new>
#include <set>
#include <string>
#include <string_view>

#include "atomic_file.hpp"
#include "codec.hpp"
#include "utf8.hpp"
#include "vitrail/codecs.hpp"

namespace vitrail {
namespace {

bool is_utf8(std::string_view text) {
  while (const std::size_t length = codec::utf8_length(text)) text.remove_prefix(length);
  return text.empty();
}

constexpr char kDigits[] = "0123456789abcdef";

/// Bytes of any kind for a message.
std::string shown(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f)
      out += c;
    else
      out += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return out + "\"";
}

/// Of UTF-8. No control character is left: messages show it, too.
std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f)
      out += c;
    else
      out += std::string("\\u00") + kDigits[c >> 4] + kDigits[c & 15];
  }
  return out + "\"";
}

/// The strings of one kind, as JSON. Messages start with the file, then the kind.
class Strings {
 public:
  Strings(const std::filesystem::path& path, const char* kind) : kind_(path.string() + ": " + kind + ": found ") {}

  Result<std::string> any(std::string_view text) const {
    if (is_utf8(text)) return json_string(text);
    return Error{ErrorCode::invalid_argument, kind_ + shown(text) + ", expected UTF-8"};
  }

  /// One that is no other's: of two equal keys JSON's readers keep one, or refuse both.
  Result<std::string> key(std::string_view text) {
    auto json = any(text);
    if (json && !seen_.insert(text).second)
      return Error{ErrorCode::invalid_argument, kind_ + *json + " twice, expected each once"};
    return json;
  }

 private:
  std::string kind_;
  std::set<std::string_view> seen_;
};

constexpr std::string_view kMetadata = "__metadata__";

}  // namespace

Status save_safetensors(const std::filesystem::path& path, std::span<const NamedArray> arrays,
                        std::span<const std::pair<std::string, std::string>> metadata) try {
  static_assert(std::endian::native == std::endian::little, "the machine's bytes are written as little-endian");
  Strings names(path, "names of arrays"), keys(path, "keys of metadata");
  const Strings values(path, "values of metadata");
  std::string header = "{";
  if (!metadata.empty()) {
    header += json_string(kMetadata) + ":{";
    for (const auto& [key, value] : metadata) {
      const auto key_text = keys.key(key), value_text = values.any(value);
      if (!key_text) return key_text.error();
      if (!value_text) return value_text.error();
      header += (header.back() == '{' ? "" : ",") + *key_text + ":" + *value_text;
    }
    header += "}";
  }
  std::size_t at = 0;
  for (const NamedArray& array : arrays) {
    const auto name = names.key(array.name);
    if (!name) return name.error();
    if (array.name == kMetadata)
      return Error{ErrorCode::invalid_argument,
                   path.string() + ": names of arrays: found " + *name + ", expected another: that is the metadata's"};
    std::string shape;
    for (const std::size_t length : array.shape) shape += (shape.empty() ? "" : ",") + std::to_string(length);
    shape = "[" + shape + "]";
    const Status good =
        codec::check_shape(path.string() + ": " + *name, array.shape, shape, array.data.size(), sizeof(float));
    if (!good) return good;
    const std::size_t end = at + array.data.size_bytes();
    header += (header.back() == '{' ? "" : ",") + *name + ":{\"dtype\":\"F32\",\"shape\":" + shape +
              ",\"data_offsets\":[" + std::to_string(at) + "," + std::to_string(end) + "]}";
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
} catch (const std::bad_alloc&) {
  return codec::no_memory(path.native(), "to write it");
}

}  // namespace vitrail
