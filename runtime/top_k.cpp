#include <algorithm>
#include <cmath>
#include <numeric>

#include "vitrail/session.hpp"

namespace vitrail {

std::vector<Prediction> top_k(std::span<const float> logits, int k) {
  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto count = std::min(order.size(), static_cast<std::size_t>(std::max(k, 0)));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(), [&](int a, int b) {
    const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  });
  if (count == 0) return {};
  const double top = logits[static_cast<std::size_t>(order[0])];
  double sum = 0;
  for (const float x : logits) sum += std::exp(x - top);
  std::vector<Prediction> best;
  for (std::size_t i = 0; i < count; ++i)
    best.push_back({order[i], static_cast<float>(std::exp(logits[static_cast<std::size_t>(order[i])] - top) / sum)});
  return best;
}

}  // namespace vitrail
