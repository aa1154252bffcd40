#include "runtime/model/safetensors.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "runtime/model/checks.hpp"
#include "runtime/model/json_reader.hpp"
#include "runtime/model/mapped_file.hpp"

namespace vitrail {
namespace {

constexpr std::uint64_t max_header_bytes = 100'000'000;  // the limit of the reference implementation
constexpr std::size_t max_rank = 8;

/// Bytes per element; 0 for a dtype that is not known.
std::uint64_t dtype_bytes(std::string_view dtype) {
  for (auto name : {"BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"})
    if (dtype == name) return 1;
  for (auto name : {"F16", "BF16", "U16", "I16"})
    if (dtype == name) return 2;
  for (auto name : {"F32", "U32", "I32"})
    if (dtype == name) return 4;
  for (auto name : {"F64", "U64", "I64", "C64"})
    if (dtype == name) return 8;
  return 0;
}

std::uint64_t read_u64_le(const std::byte* bytes) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

struct Span {
  std::uint64_t begin, end;
  std::size_t tensor;  // index
};

/// Reads the header of one file. Messages start with the file, then the tensor.
class HeaderReader {
 public:
  HeaderReader(std::string file, std::span<const std::byte> bytes) : file_(std::move(file)), bytes_(bytes) {}

  Result<std::vector<StoredTensor>> read() {
    if (bytes_.size() < 8)
      return bad("is cut off: found " + std::to_string(bytes_.size()) +
                 " bytes, expected at least 8 (the header length)");
    constexpr std::string_view pointer = "version https://git-lfs";
    if (std::string_view(reinterpret_cast<const char*>(bytes_.data()), bytes_.size()).starts_with(pointer))
      return bad("is Git LFS's pointer to a file, expected the file itself (git lfs pull fetches it)");
    std::uint64_t length = read_u64_le(bytes_.data());
    if (length > max_header_bytes)
      return bad("header length: found " + std::to_string(length) + ", expected at most " +
                 std::to_string(max_header_bytes) + " bytes");
    if (length > bytes_.size() - 8)
      return bad("is cut off: the header length is " + std::to_string(length) + ", but only " +
                 std::to_string(bytes_.size() - 8) + " bytes follow");
    auto text = std::string_view(reinterpret_cast<const char*>(bytes_.data()) + 8, length);
    if (text.empty() || text[0] != '{') return bad("header: expected a JSON object that starts with '{'");
    auto header = parse_json(text, file_ + ": header");
    if (!header) return header.error();
    if (!header->is_object()) return bad("header: found " + found_text(*header) + ", expected a JSON object");
    data_ = bytes_.subspan(8 + length);

    for (const auto& [name, entry] : header->items()) {
      if (name == "__metadata__") {
        if (!entry.is_object())
          return bad("header: \"__metadata__\": found " + found_text(entry) + ", expected an object");
        continue;
      }
      if (auto problem = add(name, entry)) return bad("tensor " + in_quotes(name) + ": " + *problem);
    }
    if (auto problem = check_spans()) return bad(*problem);
    return std::move(tensors_);
  }

 private:
  Error bad(const std::string& what) const { return {ErrorCode::bad_file, file_ + ": " + what}; }

  /// Says what is wrong with this entry, if anything.
  std::optional<std::string> add(const std::string& name, const Json& entry) {
    if (!entry.is_object())
      return "found " + found_text(entry) + ", expected an object with dtype, shape, data_offsets";
    for (const auto& [key, value] : entry.items())
      if (key != "dtype" && key != "shape" && key != "data_offsets") return "unknown key " + in_quotes(key);
    for (auto key : {"dtype", "shape", "data_offsets"})
      if (!entry.contains(key)) return in_quotes(key) + " is missing";

    StoredTensor tensor;
    tensor.name = name;
    tensor.file = file_;
    const Json& dtype = entry["dtype"];
    std::uint64_t size = dtype.is_string() ? dtype_bytes(dtype.get_ref<const std::string&>()) : 0;
    if (size == 0) return "dtype: found " + found_text(dtype) + ", expected a safetensors type such as \"F32\"";
    tensor.dtype = dtype.get<std::string>();

    const Json& shape = entry["shape"];
    if (!shape.is_array() || shape.size() > max_rank)
      return "shape: found " + found_text(shape) + ", expected an array of at most " + std::to_string(max_rank) +
             " lengths";
    for (const Json& length : shape) {
      if (!length.is_number_unsigned()) return "shape: found " + found_text(shape) + ", expected integers from 0";
      auto n = length.get<std::uint64_t>();
      if (n > std::numeric_limits<std::int64_t>::max() ||
          (n != 0 && size > std::numeric_limits<std::uint64_t>::max() / n))
        return "shape: found " + found_text(shape) + ", whose size overflows";
      size *= n;
      tensor.shape.push_back(static_cast<std::int64_t>(n));
    }

    const Json& offsets = entry["data_offsets"];
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
        !offsets[1].is_number_unsigned())
      return "data_offsets: found " + found_text(offsets) + ", expected two integers from 0";
    auto begin = offsets[0].get<std::uint64_t>(), end = offsets[1].get<std::uint64_t>();
    if (begin > end) return "data_offsets: found " + found_text(offsets) + ", expected begin ≤ end";
    if (end > data_.size())
      return "data_offsets: found " + found_text(offsets) + ", but the file has only " + std::to_string(data_.size()) +
             " bytes of data";
    if (end - begin != size)
      return "data_offsets: found " + std::to_string(end - begin) + " bytes, expected " + std::to_string(size) +
             " for " + tensor.dtype + " " + shape_text(tensor.shape);
    tensor.data = data_.data() + begin;
    spans_.push_back({begin, end, tensors_.size()});
    tensors_.push_back(std::move(tensor));
    return {};
  }

  /// Every byte of data belongs to exactly one tensor: otherwise one file could mean two things to two readers.
  std::optional<std::string> check_spans() {
    std::sort(spans_.begin(), spans_.end(),
              [](const Span& a, const Span& b) { return a.begin != b.begin ? a.begin < b.begin : a.end < b.end; });
    std::uint64_t position = 0;
    const Span* before = nullptr;
    for (const Span& span : spans_) {
      const std::string& name = tensors_[span.tensor].name;
      if (span.begin < position)
        return "tensor " + in_quotes(name) + ": data_offsets overlap those of " +
               in_quotes(tensors_[before->tensor].name);
      if (span.begin > position)
        return "tensor " + in_quotes(name) + ": found data_offsets beginning at " + std::to_string(span.begin) +
               ", expected " + std::to_string(position) + " (bytes between belong to no tensor)";
      position = span.end;
      before = &span;
    }
    if (position != data_.size())
      return std::to_string(data_.size() - position) + " bytes at the end belong to no tensor";
    return {};
  }

  std::string file_;
  std::span<const std::byte> bytes_, data_;
  std::vector<StoredTensor> tensors_;
  std::vector<Span> spans_;
};

bool by_name(const StoredTensor& a, const StoredTensor& b) { return a.name < b.name; }

/// What else lies in the folder that a user may have taken for weights.
std::string other_weights(const std::filesystem::path& folder) {
  std::error_code ignored;
  for (auto name :
       {"pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack", "model.onnx"})
    if (std::filesystem::exists(folder / name, ignored))
      return std::string(" (") + name + " is there, but only safetensors files are read: save the model with " +
             "safe_serialization=True)";
  return "";
}

/// A shard is a plain file name in the index's own folder: an index must not reach any other file.
bool is_plain_file_name(const std::string& name) {
  if (name.empty() || name == "." || name == ".." || name.size() > 255) return false;
  return std::none_of(name.begin(), name.end(),
                      [](unsigned char c) { return c == '/' || c == '\\' || c == ':' || c < 0x20; });
}

}  // namespace

Result<Safetensors> Safetensors::open(const std::filesystem::path& path) {
  auto file = MappedFile::open(path);
  if (!file) return file.error();
  auto tensors = HeaderReader(path.string(), (*file)->bytes()).read();
  if (!tensors) return tensors.error();
  Safetensors out;
  out.file_ = path.string();
  out.tensors_ = *std::move(tensors);
  for (StoredTensor& tensor : out.tensors_) tensor.mapping = file->get();
  std::sort(out.tensors_.begin(), out.tensors_.end(), by_name);
  out.files_ = *file;
  return out;
}

Result<Safetensors> Safetensors::open_folder(const std::filesystem::path& folder) {
  auto single = folder / "model.safetensors";
  auto index = folder / "model.safetensors.index.json";
  std::error_code ignored;
  if (std::filesystem::exists(single, ignored)) return open(single);
  if (std::filesystem::exists(index, ignored)) return open_shards(index);
  return Error{ErrorCode::io, folder.string() + ": found neither model.safetensors nor model.safetensors.index.json" +
                                  other_weights(folder)};
}

Result<Safetensors> Safetensors::open_shards(const std::filesystem::path& index) {
  const std::string name = index.string();
  auto bad = [&](const std::string& what) { return Error{ErrorCode::bad_file, name + ": " + what}; };
  auto json = read_json_object(index);
  if (!json) return json.error();
  auto map = json->find("weight_map");
  if (map == json->end() || !map->is_object() || map->empty())
    return bad("\"weight_map\": expected an object that says for every tensor in which file it is");

  std::vector<std::string> shard_names;
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string() || !is_plain_file_name(shard.get_ref<const std::string&>()))
      return bad("\"weight_map\": tensor " + in_quotes(tensor) + ": found " + found_text(shard) +
                 ", expected the name of a file in the same folder");
    shard_names.push_back(shard.get<std::string>());
  }
  std::sort(shard_names.begin(), shard_names.end());
  shard_names.erase(std::unique(shard_names.begin(), shard_names.end()), shard_names.end());
  if (shard_names.size() > 1000)
    return bad("found " + std::to_string(shard_names.size()) + " shards, expected at most 1000");

  Safetensors out;
  out.file_ = name;
  auto files = std::make_shared<std::vector<std::shared_ptr<const void>>>();
  for (const auto& shard : shard_names) {
    auto part = open(index.parent_path() / shard);
    if (!part) return Error{part.error().code, part.error().message + " (a shard of " + name + ")"};
    for (auto& tensor : part->tensors_) {
      auto listed = map->find(tensor.name);
      if (listed == map->end() || *listed != shard)
        return bad("tensor " + in_quotes(tensor.name) + " is in " + in_quotes(shard) + ", but \"weight_map\" says " +
                   (listed == map->end() ? "nothing of it" : "it is in " + found_text(*listed)));
      out.tensors_.push_back(std::move(tensor));
    }
    files->push_back(part->files_);
  }
  std::sort(out.tensors_.begin(), out.tensors_.end(), by_name);
  for (const auto& [tensor, shard] : map->items())
    if (!out.find(tensor))
      return bad("tensor " + in_quotes(tensor) + " is not in " + found_text(shard) + " as it says");
  out.files_ = std::move(files);
  return out;
}

const StoredTensor* Safetensors::find(std::string_view name) const {
  auto it = std::lower_bound(tensors_.begin(), tensors_.end(), name,
                             [](const StoredTensor& tensor, std::string_view n) { return tensor.name < n; });
  return it == tensors_.end() || it->name != name ? nullptr : &*it;
}

}  // namespace vitrail
