// Principal components where they are known beforehand.
#include "tools/vitrail/pca.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace vitrail::cli;

TEST_CASE("axes and variances of a box of points") {
  // Points ±9, ±3, ±1 along three orthogonal directions of length 1, and a mean that must not matter.
  const double axes[3][4] = {{0.5, 0.5, 0.5, 0.5}, {0.5, -0.5, 0.5, -0.5}, {0.5, 0.5, -0.5, -0.5}};
  const double lengths[] = {9, 3, 1};
  std::vector<float> x;
  for (int i = 0; i < 8; ++i)
    for (int d = 0; d < 4; ++d) {
      double value = 100 + d;
      for (int a = 0; a < 3; ++a) value += (i >> a & 1 ? 1 : -1) * lengths[a] * axes[a][d];
      x.push_back(static_cast<float>(value));
    }
  const Components c = principal_components(x, 4, 3);
  REQUIRE(c.scores.size() == 24);
  for (int a = 0; a < 3; ++a) {
    CHECK(c.explained[static_cast<std::size_t>(a)] == doctest::Approx(lengths[a] * lengths[a] / 91));
    for (int i = 0; i < 8; ++i)
      CHECK(std::fabs(c.scores[static_cast<std::size_t>(i * 3 + a)]) == doctest::Approx(lengths[a]));
    // Points on the same side of an axis have the same sign.
    CHECK(c.scores[static_cast<std::size_t>(a)] * c.scores[static_cast<std::size_t>((7 - (1 << a)) * 3 + a)] > 0);
  }
  CHECK(c.scores[0] < 0);  // the first axis points where its weights are positive
}

TEST_CASE("points that do not vary have no components") {
  const std::vector<float> same(5 * 4, 3.0f);
  const Components c = principal_components(same, 4, 3);
  for (const float score : c.scores) CHECK(score == 0);
  for (const double share : c.explained) CHECK(share == 0);
  const std::vector<float> one{1, 2, 3, 4};
  for (const float score : principal_components(one, 4, 3).scores) CHECK(score == 0);
}

TEST_CASE("rows that vary in fewer directions have no others") {
  std::vector<float> x;
  for (int i = 0; i < 3 * 40; ++i) x.push_back(std::sin(static_cast<float>(i * i)) + 3);
  for (const std::size_t rows : {2, 3}) {
    const Components c = principal_components(std::span(x).first(rows * 40), 40, 3);
    double sum = 0;
    for (const double share : c.explained) sum += share;
    CHECK(sum == doctest::Approx(1));
    for (std::size_t axis = rows - 1; axis < 3; ++axis) {
      CHECK(c.explained[axis] == 0);
      for (std::size_t r = 0; r < rows; ++r) CHECK(c.scores[r * 3 + axis] == 0);
    }
  }
}
