// Principal components of rows of numbers.
#pragma once

#include <span>
#include <vector>

namespace vitrail::cli {

struct Components {
  std::vector<float> scores;      ///< [rows, count] each row's coordinates along the components
  std::vector<double> explained;  ///< [count] share of the variance, falling
};

/// The first `count` principal components of x [rows, dim], largest variance first. The sign of a component is the one
/// that makes its largest weight positive. What does not vary has components of zeros.
Components principal_components(std::span<const float> x, std::size_t dim, std::size_t count);

}  // namespace vitrail::cli
