// f16 and bf16 → f32, exactly, without the instructions that not every CPU has.
#include <bit>
#include <cstring>

#include "runtime/model/network.hpp"

namespace vitrail {
namespace {

std::uint32_t load_u16(const std::byte* p) {
  return std::to_integer<std::uint32_t>(p[0]) | std::to_integer<std::uint32_t>(p[1]) << 8;
}

float from_f16(std::uint32_t h) {
  std::uint32_t sign = (h & 0x8000u) << 16, exponent = h >> 10 & 31, fraction = h & 0x3FF;
  if (exponent == 31)
    return std::bit_cast<float>(sign | 0x7F800000u | fraction << 13);  // infinity, NaN with its payload
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  float small = static_cast<float>(fraction) * 0x1p-24f;  // subnormal: exact, 10 bits times a power of two
  return sign ? -small : small;
}

}  // namespace

void to_f32(const TensorView& tensor, std::int64_t first, std::int64_t count, float* dst) {
  if (tensor.type == TensorView::Type::f32) {
    const std::byte* src = tensor.data + first * 4;
    if constexpr (std::endian::native == std::endian::little) {
      if (count > 0) std::memcpy(dst, src, static_cast<std::size_t>(count) * 4);
    } else {
      for (std::int64_t i = 0; i < count; ++i)
        dst[i] = std::bit_cast<float>(load_u16(src + 4 * i) | load_u16(src + 4 * i + 2) << 16);
    }
    return;
  }
  const std::byte* src = tensor.data + first * 2;
  if (tensor.type == TensorView::Type::bf16) {
    for (std::int64_t i = 0; i < count; ++i) dst[i] = std::bit_cast<float>(load_u16(src + 2 * i) << 16);
  } else {
    for (std::int64_t i = 0; i < count; ++i) dst[i] = from_f16(load_u16(src + 2 * i));
  }
}

}  // namespace vitrail
