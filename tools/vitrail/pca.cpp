#include "pca.hpp"

#include <algorithm>
#include <cmath>

namespace vitrail::cli {
namespace {

using Vector = std::vector<double>;

constexpr int kIterations = 300;
constexpr double kConverged = 1e-10;  // change of a unit vector in one step
constexpr double kRounding = 1e-9;

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// Makes v orthogonal to `others` and of length 1. Zeros where it lies in their span, but for roundings.
void orthonormalize(Vector& v, const std::vector<Vector>& others) {
  const double before = std::sqrt(dot(v, v));
  for (const Vector& other : others) {
    const double along = dot(v, other);
    for (std::size_t i = 0; i < v.size(); ++i) v[i] -= along * other[i];
  }
  const double length = std::sqrt(dot(v, v));
  for (double& value : v) value = length > 1e-30 && length > kRounding * before ? value / length : 0;
}

}  // namespace

Components principal_components(std::span<const float> x, std::size_t dim, std::size_t count) {
  const std::size_t rows = x.size() / dim;
  Vector centered(x.begin(), x.end()), mean(dim), scores(rows);
  for (std::size_t i = 0; i < x.size(); ++i) mean[i % dim] += x[i] / static_cast<double>(rows);
  for (std::size_t i = 0; i < x.size(); ++i) centered[i] -= mean[i % dim];
  const double total = dot(centered, centered);

  Components out;
  out.scores.resize(rows * count);
  std::vector<Vector> axes;
  const auto project = [&](const Vector& axis) {
    for (std::size_t r = 0; r < rows; ++r) {
      scores[r] = 0;
      for (std::size_t d = 0; d < dim; ++d) scores[r] += centered[r * dim + d] * axis[d];
    }
  };
  for (std::size_t c = 0; c < count; ++c) {
    // Power iteration on xᵀx, from a start that no axis is likely to be orthogonal to.
    Vector axis(dim), next(dim);
    for (std::size_t d = 0; d < dim; ++d) axis[d] = std::sin(1.0 + static_cast<double>(d * (c + 1)));
    orthonormalize(axis, axes);
    for (int i = 0; i < kIterations; ++i) {
      project(axis);
      std::fill(next.begin(), next.end(), 0.0);
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t d = 0; d < dim; ++d) next[d] += scores[r] * centered[r * dim + d];
      orthonormalize(next, axes);
      double change = 0;
      for (std::size_t d = 0; d < dim; ++d) change = std::max(change, std::fabs(next[d] - axis[d]));
      axis.swap(next);
      if (change < kConverged) break;
    }
    const auto largest =
        std::max_element(axis.begin(), axis.end(), [](double a, double b) { return std::fabs(a) < std::fabs(b); });
    if (*largest < 0)
      for (double& value : axis) value = -value;
    project(axis);
    for (std::size_t r = 0; r < rows; ++r) out.scores[r * count + c] = static_cast<float>(scores[r]);
    out.explained.push_back(total > 1e-30 ? dot(scores, scores) / total : 0);
    axes.push_back(axis);
  }
  return out;
}

}  // namespace vitrail::cli
