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

double box(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

constexpr double pi = 3.14159265358979323846;

double hamming(double x) {
  x = std::fabs(x);
  if (x == 0.0) return 1.0;
  if (x >= 1.0) return 0.0;
  x *= pi;
  return std::sin(x) / x * (0.54 + 0.46 * std::cos(x));
}

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= pi;
  return std::sin(x) / x;
}

double lanczos(double x) { return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }

struct Filter {
  double (*weight)(double);
  double support;  ///< samples on each side, where nothing is reduced
};

Filter filter_of(Resampling resampling) {
  switch (resampling) {
    case Resampling::box:
      return {box, 0.5};
    case Resampling::hamming:
      return {hamming, 1.0};
    case Resampling::bicubic:
      return {bicubic, 2.0};
    case Resampling::lanczos:
      return {lanczos, 3.0};
    default:
      return {bilinear, 1.0};
  }
}

std::int32_t to_fixed(double weight, int bits) {
  const double one = 1 << bits;
  const auto fixed = static_cast<std::int32_t>(weight < 0 ? -0.5 + weight * one : 0.5 + weight * one);
  return fixed * (1 << (resize_fraction_bits - bits));
}

/// torch gives weights as many bits as the largest one of the axis leaves in 16.
int torch_bits(double largest) {
  int bits = 0;
  while (bits < resize_fraction_bits && static_cast<int>(0.5 + largest * (1 << (bits + 1))) < (1 << 15)) ++bits;
  return bits;
}

/// One source sample for each output.
AxisFilter nearest(int src_size, int dst_size, int window_first, int window_size, ResizeBackend backend) {
  AxisFilter result;
  result.pitch = filter_block;
  result.weights.resize(static_cast<std::size_t>(window_size) * filter_block);
  const double scale = static_cast<double>(src_size) / dst_size;
  double at = scale * 0.5;  // Pillow adds up, and so does this
  for (int i = 0; i < window_first + window_size; ++i, at += scale) {
    if (i < window_first) continue;
    const float torch_scale = static_cast<float>(src_size) / static_cast<float>(dst_size);
    const int source = backend == ResizeBackend::pillow
                           ? static_cast<int>(at)
                           : static_cast<int>(std::floor(static_cast<float>((i + 0.5) * torch_scale)));
    result.spans.push_back({std::min(source, src_size - 1), 1});
    result.weights[static_cast<std::size_t>(i - window_first) * filter_block] = 1 << resize_fraction_bits;
  }
  return result;
}

}  // namespace

int AxisFilter::longest() const noexcept {
  int longest = 0;
  for (const FilterSpan& span : spans) longest = std::max(longest, span.count);
  return longest;
}

AxisFilter make_axis_filter(int src_size, int dst_size, int window_first, int window_size, Resampling resampling,
                            ResizeBackend backend) {
  if (resampling == Resampling::nearest) return nearest(src_size, dst_size, window_first, window_size, backend);
  const Filter filter = filter_of(resampling);
  const double scale = static_cast<double>(src_size) / dst_size;
  const double filter_scale = std::max(scale, 1.0);
  const double support = filter.support * filter_scale;
  const double inverse_scale = 1.0 / filter_scale;
  // The ± 0.5 and the truncation of both ends can add one sample to 2 · support.
  const int most = std::min(src_size, static_cast<int>(std::ceil(support)) * 2 + 1);
  std::vector<double> exact(static_cast<std::size_t>(most));
  /// Fills `exact` with the weights of output `i`, which add up to 1.
  const auto weigh = [&](int i) {
    const double center = (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(center - support + 0.5));
    const int count = std::min(src_size, static_cast<int>(center + support + 0.5)) - first;
    double sum = 0.0;
    for (int k = 0; k < count; ++k) {
      exact[static_cast<std::size_t>(k)] = filter.weight((k + first - center + 0.5) * inverse_scale);
      sum += exact[static_cast<std::size_t>(k)];
    }
    for (int k = 0; k < count && sum != 0.0; ++k) exact[static_cast<std::size_t>(k)] /= sum;
    return FilterSpan{first, count};
  };

  int bits = resize_fraction_bits;
  if (backend == ResizeBackend::torchvision) {
    double largest = 0;
    for (int i = 0; i < dst_size; ++i) {
      const int count = weigh(i).count;
      for (int k = 0; k < count; ++k) largest = std::max(largest, exact[static_cast<std::size_t>(k)]);
    }
    bits = torch_bits(largest);
  }

  AxisFilter result;
  result.pitch = (most + filter_block - 1) / filter_block * filter_block;
  result.spans.resize(static_cast<std::size_t>(window_size));
  result.weights.resize(static_cast<std::size_t>(window_size) * static_cast<std::size_t>(result.pitch));
  for (int i = 0; i < window_size; ++i) {
    const FilterSpan span = weigh(window_first + i);
    std::int32_t* weights = result.weights.data() + static_cast<std::ptrdiff_t>(i) * result.pitch;
    for (int k = 0; k < span.count; ++k) weights[k] = to_fixed(exact[static_cast<std::size_t>(k)], bits);
    result.spans[static_cast<std::size_t>(i)] = span;
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
