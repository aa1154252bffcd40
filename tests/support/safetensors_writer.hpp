// Writes safetensors files for tests: sound ones from tensors, and any bytes behind any header.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::test {

struct TestTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::string bytes;  ///< little-endian
  std::string dtype = "F32";
};

inline std::int64_t elements(const std::vector<std::int64_t>& shape) {
  std::int64_t n = 1;
  for (auto length : shape) n *= length;
  return n;
}

/// @param value  float(index) of element `index`
template <class Value>
TestTensor f32_tensor(std::string name, std::vector<std::int64_t> shape, Value value) {
  static_assert(std::endian::native == std::endian::little);
  TestTensor out{std::move(name), std::move(shape), {}, "F32"};
  auto count = static_cast<std::size_t>(elements(out.shape));
  out.bytes.resize(4 * count);
  for (std::size_t i = 0; i < count; ++i) {
    auto x = static_cast<float>(value(i));
    std::memcpy(&out.bytes[4 * i], &x, 4);
  }
  return out;
}

/// `header` behind its length, then `data`.
inline std::string safetensors_file(std::string_view header, std::string_view data) {
  std::string out(8, '\0');
  for (int i = 0; i < 8; ++i) out[static_cast<std::size_t>(i)] = static_cast<char>(header.size() >> (8 * i) & 255);
  return out.append(header).append(data);
}

inline std::string safetensors_file(const std::vector<TestTensor>& tensors) {
  nlohmann::json header = {{"__metadata__", {{"format", "pt"}}}};
  std::string data;
  for (const auto& tensor : tensors) {
    std::size_t begin = data.size();
    data += tensor.bytes;
    header[tensor.name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
  }
  return safetensors_file(header.dump(), data);
}

}  // namespace vitrail::test
