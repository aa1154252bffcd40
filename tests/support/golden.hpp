// Expected values computed by other people's code (tests/goldens/README.md): weights and pictures made from names by a
// pseudo-random generator, results read from .npy files.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/files.hpp"
#include "tests/support/pictures.hpp"
#include "tests/support/random.hpp"
#include "tests/support/safetensors_writer.hpp"

namespace vitrail::test {

inline std::filesystem::path goldens() { return std::filesystem::path(VITRAIL_SOURCE_DIR) / "tests" / "goldens"; }

/// Whether these floats are those of the file to the bit, little-endian as are all processors this runs on.
/// VITRAIL_WRITE_GOLDENS in the environment: the file is written anew.
inline bool has_bits_of(const std::filesystem::path& file, std::span<const float> found) {
  std::string bytes(found.size_bytes(), '\0');
  std::memcpy(bytes.data(), found.data(), bytes.size());
  if (std::getenv("VITRAIL_WRITE_GOLDENS")) write_file(file, bytes);
  return bytes == read_file(file);
}

/// The stream of numbers called `name`.
inline Random golden_bits(std::string_view name) {
  return Random(fnv1a64(reinterpret_cast<const std::uint8_t*>(name.data()), name.size()));
}

/// Uniform in [-scale, scale), around 1 where the rule is "norm_weight". Exact in f32.
inline TestTensor golden_tensor(const std::string& name, std::vector<std::int64_t> shape, std::string_view rule,
                                double scale) {
  Random bits = golden_bits(name);
  const double offset = rule == "norm_weight" ? 1 : 0;
  return f32_tensor(name, std::move(shape), [&](std::size_t) {
    auto r = static_cast<std::int64_t>(bits.bits() >> 48) - 32768;
    return static_cast<double>(r) / 32768 * scale + offset;
  });
}

/// u8 [height, width, channels]; kinds "noise", "mixed" and "edges" as tests/goldens/README.md defines them.
inline std::vector<std::uint8_t> golden_picture(std::string_view kind, int width, int height, int channels,
                                                std::string_view name = "input") {
  Random stream = golden_bits(name);
  std::vector<std::uint8_t> out;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < channels; ++c) {
        std::uint64_t bits = stream.bits();
        int noise = static_cast<int>(bits >> 56);
        int gx = x * 255 / std::max(width - 1, 1), gy = y * 255 / std::max(height - 1, 1);
        int ramp = c % 3 == 0 ? gx : c % 3 == 1 ? gy : (gx + gy) / 2;
        int value = kind == "edges"   ? static_cast<int>(bits >> 63) * 255
                    : kind == "noise" ? noise
                                      : (noise + 3 * ramp + 2) / 4;
        if (kind != "edges" && kind != "noise" && kind != "mixed")
          throw std::runtime_error("unknown kind of picture: " + std::string(kind));
        out.push_back(static_cast<std::uint8_t>(value));
      }
  return out;
}

/// An array of a .npy file (version 1 to 3, little-endian).
template <class T>
struct NpyArray {
  std::vector<std::int64_t> shape;
  std::vector<T> values;
};

template <class T>
NpyArray<T> read_npy(const std::filesystem::path& path) {
  auto fail = [&](const std::string& what) -> std::runtime_error {
    return std::runtime_error(path.string() + ": " + what);
  };
  const std::string bytes = read_file(path);
  if (bytes.size() < 12 || bytes.compare(0, 6, "\x93NUMPY") != 0) throw fail("not a .npy file");
  const bool short_length = bytes[6] == 1;
  std::size_t length = 0, start = short_length ? 10 : 12;
  for (std::size_t i = start; i-- > 8;) length = length << 8 | static_cast<unsigned char>(bytes[i]);
  std::string header = bytes.substr(start, length);
  std::erase(header, ' ');
  const std::string type = sizeof(T) == 1 ? "|u1" : std::is_floating_point_v<T> ? "<f4" : "<i4";
  if (header.find("'descr':'" + type + "'") == header.npos) throw fail("expected " + type + ", header is " + header);
  const bool fortran = header.find("'fortran_order':True") != header.npos;

  NpyArray<T> out;
  std::size_t at = header.find("'shape':(");
  if (at == header.npos) throw fail("no shape");
  for (at += 9; at < header.size() && header[at] != ')';) {
    std::size_t used = 0;
    out.shape.push_back(std::stoll(header.substr(at), &used));
    at += used;
    if (header[at] == ',') ++at;
  }
  auto count = static_cast<std::size_t>(elements(out.shape));
  if (bytes.size() != start + length + count * sizeof(T)) throw fail("size does not fit its shape");
  out.values.resize(count);
  if (count > 0) std::memcpy(out.values.data(), bytes.data() + start + length, count * sizeof(T));
  if (fortran && out.shape.size() > 1) {
    if (out.shape.size() != 2) throw fail("expected at most two axes in Fortran order");
    const auto rows = static_cast<std::size_t>(out.shape[0]), columns = static_cast<std::size_t>(out.shape[1]);
    const std::vector<T> by_column = out.values;
    for (std::size_t i = 0; i < count; ++i) out.values[i] = by_column[i % columns * rows + i / columns];
  }
  return out;
}

/// A folder that Model::load() reads: the case's JSON files and a model.safetensors made from its tensors.json. Removed
/// with the object.
class GoldenModel {
 public:
  /// @param source  tests/goldens/vit/<case>
  explicit GoldenModel(const std::filesystem::path& source) : source_(source) {
    for (const char* name : {"config.json", "preprocessor_config.json"})
      if (std::filesystem::exists(source / name)) std::filesystem::copy_file(source / name, dir_ / name);
    std::vector<TestTensor> tensors;
    auto json = nlohmann::json::parse(read_file(source / "tensors.json"));
    for (const auto& [name, entry] : json.items())
      tensors.push_back(golden_tensor(name, entry.at("shape"), entry.at("rule").get<std::string>(), entry.at("scale")));
    write_file(dir_ / "model.safetensors", safetensors_file(tensors));
  }

  const std::filesystem::path& folder() const { return dir_.path(); }
  /// An expected result of this case.
  template <class T = float>
  NpyArray<T> expected(const std::string& name) const {
    return read_npy<T>(source_ / (name + ".npy"));
  }

 private:
  std::filesystem::path source_;
  TemporaryFolder dir_;
};

}  // namespace vitrail::test
