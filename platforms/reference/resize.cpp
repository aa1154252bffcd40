// Loops that a compiler turns into vectors of whatever instructions the build allows.
#include <algorithm>

#include "platforms/reference/rows.hpp"
#include "platforms/tile.hpp"
#include "runtime/resize_filters.hpp"

namespace vitrail::reference {
namespace {

/// Unsigned, because high · 2^15 alone may leave 32 bits; the whole sum does not.
std::int32_t whole(std::int32_t high, std::int32_t low) {
  return static_cast<std::int32_t>((static_cast<std::uint32_t>(high) << split_weight_shift) +
                                   static_cast<std::uint32_t>(low));
}

template <int channels>
void resize_row(const std::int16_t* planes, std::ptrdiff_t plane_pitch, const AxisFilter& filter,
                const SplitWeights& weights, std::int32_t* sums) {
  const int begin = filter.begin();
  const std::int16_t* weights_high = weights.high.data();
  const std::int16_t* weights_low = weights.low.data();
  for (const FilterSpan& span : filter.spans) {
    const std::int16_t* src = planes + (span.first - begin);
    // Whole blocks, so that the vectorised loop has no remainder. All channels in one loop: weights are loaded once.
    const int count = round_up(span.count, 8);
    std::int32_t high[3] = {0, 0, 0};
    std::int32_t low[3] = {0, 0, 0};
    for (int k = 0; k < count; ++k) {
      high[0] += src[k] * weights_high[k];
      low[0] += src[k] * weights_low[k];
      if constexpr (channels == 3) {
        high[1] += src[k + plane_pitch] * weights_high[k];
        low[1] += src[k + plane_pitch] * weights_low[k];
        high[2] += src[k + 2 * plane_pitch] * weights_high[k];
        low[2] += src[k + 2 * plane_pitch] * weights_low[k];
      }
    }
    for (int c = 0; c < channels; ++c) sums[c] = whole(high[c], low[c]);
    sums += channels;
    weights_high += filter.pitch;
    weights_low += filter.pitch;
  }
}

template <int bytes>
void split_pixels(const std::uint8_t* src, int width, const Planes& dst) {
  for (int x = 0; x < width; ++x, src += bytes)
    for (int c = 0; c < 3; ++c) dst.of[c][x] = src[c];
}

}  // namespace

void split_pixels(const std::uint8_t* src, int pixel_bytes, int width, Planes dst) {
  if (pixel_bytes == 4) return split_pixels<4>(src, width, dst);
  // Compilers vectorise loads of every 4th byte but not of every 3rd; measured, three times faster.
  constexpr int most = 256;
  std::uint8_t pixels[4 * most];
  for (int first = 0; first < width; first += most, src += 3 * most) {
    const int count = std::min(most, width - first);
    // 4 bytes at once, but not behind the row's last pixel.
    for (int x = 0; x < count - 1; ++x) __builtin_memcpy(pixels + 4 * x, src + 3 * x, 4);
    __builtin_memcpy(pixels + 4 * (count - 1), src + 3 * (count - 1), 3);
    split_pixels<4>(pixels, count, dst.from(first));
  }
}

void resize_row(const std::int16_t* planes, std::ptrdiff_t plane_pitch, int channels, const AxisFilter& filter,
                const SplitWeights& weights, std::int32_t* sums) {
  (channels == 3 ? resize_row<3> : resize_row<1>)(planes, plane_pitch, filter, weights, sums);
}

void blend_rows(const std::uint8_t* const* rows, const std::int32_t* weights, int count, std::uint8_t* dst,
                std::size_t row_bytes) {
  // A strip of sums stays in registers while the rows pass by.
  constexpr std::size_t strip = 16;
  std::int32_t sums[strip];
  for (std::size_t x = 0; x < row_bytes; x += strip) {
    const std::size_t width = std::min(strip, row_bytes - x);
    std::fill_n(sums, strip, resize_rounding);
    for (int k = 0; k < count; ++k) {
      const std::uint8_t* row = rows[k] + x;
      const std::int32_t weight = weights[k];
      if (width == strip)
        for (std::size_t i = 0; i < strip; ++i) sums[i] += weight * row[i];
      else
        for (std::size_t i = 0; i < width; ++i) sums[i] += weight * row[i];
    }
    for (std::size_t i = 0; i < width; ++i) dst[x + i] = resized_sample(sums[i]);
  }
}

}  // namespace vitrail::reference
