// Which source pixels make one output pixel, and with what weight? One axis at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "vitrail/preprocess.hpp"

namespace vitrail {

/// Weights are fixed point with this many fraction bits: 8 bits of sample, 2 bits for weights below 0 and above 1.
inline constexpr int resize_fraction_bits = 32 - 8 - 2;

/// The sample of a sum to which resize_rounding has been added. Clamped as 16 bits, for which the oldest instruction
/// sets have a minimum and a maximum.
inline constexpr std::int32_t resize_rounding = 1 << (resize_fraction_bits - 1);
[[gnu::always_inline]] inline std::uint8_t resized_sample(std::int32_t sum) noexcept {
  const auto sample = static_cast<std::int16_t>(sum >> resize_fraction_bits);
  return static_cast<std::uint8_t>(std::clamp<std::int16_t>(sample, 0, 255));
}

/// Source samples of one output pixel: first … first + count − 1.
struct FilterSpan {
  int first = 0;
  int count = 0;
};

/// The weights of one axis for some consecutive output pixels ("the window"). Both ends of the spans never decrease.
struct AxisFilter {
  std::vector<FilterSpan> spans;      ///< [window]
  std::vector<std::int32_t> weights;  ///< [window, pitch], zero behind spans[i].count
  int pitch = 0;                      ///< a multiple of filter_block, ≥ every count

  int size() const noexcept { return static_cast<int>(spans.size()); }
  const std::int32_t* row(int i) const noexcept { return weights.data() + static_cast<std::ptrdiff_t>(i) * pitch; }
  /// First source sample of the whole window, and one past the last.
  int begin() const noexcept { return spans.front().first; }
  int end() const noexcept { return spans.back().first + spans.back().count; }
  int longest() const noexcept;
};

/// Rows of weights are padded to whole blocks of this many.
inline constexpr int filter_block = 16;

/// The backend's weights to the bit, for outputs window_first … window_first + window_size − 1 of a resize from
/// `src_size` to `dst_size` samples. torch's weights for u8 have fewer bits; they are shifted up to
/// resize_fraction_bits, which changes no sample; those for floats are rounded to them. All arguments are valid. May
/// throw std::bad_alloc.
AxisFilter make_axis_filter(int src_size, int dst_size, int window_first, int window_size, Resampling resampling,
                            ResizeBackend backend = ResizeBackend::pillow);

/// weights = high · 2^15 + low with low in [−2^14, 2^14): two 16-bit products instead of one of 32 bits, which baseline
/// instruction sets lack.
/// No sum can overflow: |low| ≤ |weight| and |high| · 2^15 ≤ 2 · |weight|, and Σ |weight| is below 1.6 · 2^22.
struct SplitWeights {
  std::vector<std::int16_t> high;  ///< as AxisFilter::weights
  std::vector<std::int16_t> low;
};
inline constexpr int split_weight_shift = 15;
SplitWeights split(const AxisFilter& filter);

}  // namespace vitrail
