#include "runtime/resize_filters.hpp"

#include <algorithm>
#include <cmath>

namespace vitrail {
namespace {

double bilinear(double x) {
  x = std::fabs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

/// Keys' cubic with a = −0.5. The order of operations is Pillow's: another one changes last bits of the weights.
double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

std::int32_t to_fixed(double weight) {
  constexpr double one = 1 << resize_fraction_bits;
  return static_cast<std::int32_t>(weight < 0 ? -0.5 + weight * one : 0.5 + weight * one);
}

}  // namespace

int AxisFilter::longest() const noexcept {
  int longest = 0;
  for (const FilterSpan& span : spans) longest = std::max(longest, span.count);
  return longest;
}

AxisFilter make_axis_filter(int src_size, int dst_size, int window_first, int window_size, Resampling resampling) {
  double (*const filter)(double) = resampling == Resampling::bicubic ? bicubic : bilinear;
  const double scale = static_cast<double>(src_size) / dst_size;
  const double filter_scale = std::max(scale, 1.0);
  const double support = (resampling == Resampling::bicubic ? 2.0 : 1.0) * filter_scale;
  const double inverse_scale = 1.0 / filter_scale;
  // The ± 0.5 and the truncation of both ends can add one sample to 2 · support.
  const int most = std::min(src_size, static_cast<int>(std::ceil(support)) * 2 + 1);

  AxisFilter result;
  result.pitch = (most + filter_block - 1) / filter_block * filter_block;
  result.spans.resize(static_cast<std::size_t>(window_size));
  result.weights.resize(static_cast<std::size_t>(window_size) * static_cast<std::size_t>(result.pitch));
  std::vector<double> exact(static_cast<std::size_t>(most));
  for (int i = 0; i < window_size; ++i) {
    const double center = (window_first + i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(center - support + 0.5));
    const int count = std::min(src_size, static_cast<int>(center + support + 0.5)) - first;
    double sum = 0.0;
    for (int k = 0; k < count; ++k) {
      exact[static_cast<std::size_t>(k)] = filter((k + first - center + 0.5) * inverse_scale);
      sum += exact[static_cast<std::size_t>(k)];
    }
    std::int32_t* weights = result.weights.data() + static_cast<std::ptrdiff_t>(i) * result.pitch;
    for (int k = 0; k < count; ++k) {
      const double weight = exact[static_cast<std::size_t>(k)];
      weights[k] = to_fixed(sum != 0.0 ? weight / sum : weight);
    }
    result.spans[static_cast<std::size_t>(i)] = {first, count};
  }
  return result;
}

SplitWeights split(const AxisFilter& filter) {
  SplitWeights result;
  result.high.resize(filter.weights.size());
  result.low.resize(filter.weights.size());
  constexpr std::int32_t half = 1 << (split_weight_shift - 1);
  for (std::size_t i = 0; i < filter.weights.size(); ++i) {
    const std::int32_t high = (filter.weights[i] + half) >> split_weight_shift;
    result.high[i] = static_cast<std::int16_t>(high);
    result.low[i] = static_cast<std::int16_t>(filter.weights[i] - high * (1 << split_weight_shift));
  }
  return result;
}

}  // namespace vitrail
