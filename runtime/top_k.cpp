#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "vitrail/session.hpp"

namespace vitrail {

std::vector<Prediction> top_k(std::span<const float> logits, int k) {
  const auto logit = [&](int i) {
    const float x = logits[static_cast<std::size_t>(i)];
    return std::isnan(x) ? -std::numeric_limits<float>::infinity() : x;
  };
  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto count = std::min(order.size(), static_cast<std::size_t>(std::max(k, 0)));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(), [&](int a, int b) {
    const float x = logit(a), y = logit(b);
    return x != y ? x > y : a < b;
  });
  if (count == 0) return {};
  const double top = logit(order[0]);
  const auto weight = [&](int i) { return logit(i) == top ? 1 : std::exp(logit(i) - top); };  // ∞ − ∞ is NaN
  double sum = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) sum += weight(static_cast<int>(i));
  std::vector<Prediction> best;
  for (std::size_t i = 0; i < count; ++i) best.push_back({order[i], static_cast<float>(weight(order[i]) / sum)});
  return best;
}

}  // namespace vitrail
