#include "runtime/resize_passes.hpp"

#include <algorithm>

namespace vitrail {
namespace {

constexpr std::int32_t rounding = 1 << (resize_fraction_bits - 1);

inline std::uint8_t to_sample(std::int32_t sum) noexcept {
  return static_cast<std::uint8_t>(std::clamp(sum >> resize_fraction_bits, 0, 255));
}

/// Unsigned, because high · 2^15 alone may leave 32 bits; the whole sum does not.
inline std::int32_t whole(std::int32_t high, std::int32_t low, std::int32_t plus) noexcept {
  return static_cast<std::int32_t>((static_cast<std::uint32_t>(high) << split_weight_shift) +
                                   static_cast<std::uint32_t>(low) + static_cast<std::uint32_t>(plus));
}

inline void store(std::int32_t high, std::int32_t low, std::uint8_t& dst) noexcept {
  dst = to_sample(whole(high, low, rounding));
}
inline void store(std::int32_t high, std::int32_t low, std::int32_t& dst) noexcept { dst = whole(high, low, 0); }

template <int Channels, class Sample>
void resize_row_of(const std::int16_t* planes, std::ptrdiff_t plane_pitch, const AxisFilter& filter,
                   const SplitWeights& weights, Sample* dst) noexcept {
  const int begin = filter.begin();
  const std::int16_t* weights_high = weights.high.data();
  const std::int16_t* weights_low = weights.low.data();
  for (const FilterSpan& span : filter.spans) {
    const std::int16_t* src = planes + (span.first - begin);
    // Whole blocks, so that the vectorised loop has no remainder. All channels in one loop: weights are loaded once.
    const int count = (span.count + filter_block - 1) / filter_block * filter_block;
    std::int32_t high[3] = {0, 0, 0};
    std::int32_t low[3] = {0, 0, 0};
    for (int k = 0; k < count; ++k) {
      high[0] += src[k] * weights_high[k];
      low[0] += src[k] * weights_low[k];
      if constexpr (Channels == 3) {
        high[1] += src[k + plane_pitch] * weights_high[k];
        low[1] += src[k + plane_pitch] * weights_low[k];
        high[2] += src[k + 2 * plane_pitch] * weights_high[k];
        low[2] += src[k + 2 * plane_pitch] * weights_low[k];
      }
    }
    for (int c = 0; c < Channels; ++c) store(high[c], low[c], dst[c]);
    dst += Channels;
    weights_high += filter.pitch;
    weights_low += filter.pitch;
  }
}

}  // namespace

void resize_row(const std::int16_t* planes, std::ptrdiff_t plane_pitch, int channels, const AxisFilter& filter,
                const SplitWeights& weights, std::uint8_t* dst) noexcept {
  (channels == 3 ? resize_row_of<3, std::uint8_t> : resize_row_of<1, std::uint8_t>)(planes, plane_pitch, filter,
                                                                                    weights, dst);
}

void resize_row(const std::int16_t* planes, std::ptrdiff_t plane_pitch, int channels, const AxisFilter& filter,
                const SplitWeights& weights, std::int32_t* dst) noexcept {
  (channels == 3 ? resize_row_of<3, std::int32_t> : resize_row_of<1, std::int32_t>)(planes, plane_pitch, filter,
                                                                                    weights, dst);
}

void blend_rows(const std::int32_t* const* rows, const std::int32_t* weights, int count, std::uint8_t* dst,
                std::size_t row_samples) noexcept {
  constexpr int bits = 2 * resize_fraction_bits;
  for (std::size_t x = 0; x < row_samples; ++x) {
    std::int64_t sum = std::int64_t{1} << (bits - 1);
    for (int k = 0; k < count; ++k) sum += std::int64_t{weights[k]} * rows[k][x];
    dst[x] = static_cast<std::uint8_t>(std::clamp<std::int64_t>(sum >> bits, 0, 255));
  }
}

void blend_rows(const std::uint8_t* const* rows, const std::int32_t* weights, int count, std::uint8_t* dst,
                std::size_t row_bytes) noexcept {
  // A strip of sums stays in registers while the rows pass by.
  constexpr std::size_t strip = 16;
  std::int32_t sums[strip];
  std::size_t x = 0;
  for (; x + strip <= row_bytes; x += strip) {
    std::fill_n(sums, strip, rounding);
    for (int k = 0; k < count; ++k) {
      const std::uint8_t* row = rows[k] + x;
      const std::int32_t weight = weights[k];
      for (std::size_t i = 0; i < strip; ++i) sums[i] += weight * row[i];
    }
    for (std::size_t i = 0; i < strip; ++i) dst[x + i] = to_sample(sums[i]);
  }
  for (; x < row_bytes; ++x) {
    std::int32_t sum = rounding;
    for (int k = 0; k < count; ++k) sum += weights[k] * rows[k][x];
    dst[x] = to_sample(sum);
  }
}

}  // namespace vitrail
