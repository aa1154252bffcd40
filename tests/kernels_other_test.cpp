// The kernels around the products: attention, gates, rotary positions, patches; as in kernels_test.cpp.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "tests/support/kernel_cases.hpp"

using namespace vitrail;
using namespace vitrail::test;

TEST_CASE("SwiGLU equals its definition, and the reference on every class") {
  Random random(8);
  for (const int length : lengths) {
    CAPTURE(length);
    const auto k = static_cast<std::size_t>(length), ldx = 2 * k + 5, ld = k + 3;
    const auto x = activations(random, 3 * ldx);
    const auto run = [&](const Kernels& kernels) {
      std::vector<float> out(3 * ld, 7.0f);
      kernels.swiglu(x.data(), ldx, 3, length, out.data(), ld);
      return out;
    };
    const auto expected = run(reference_kernels);
    for (const auto& platform : test::platforms()) CHECK(same_bits(run(platform.kernels), expected));
    for (std::size_t m = 0; m < 3; ++m)
      for (std::size_t i = 0; i < k; ++i) {
        const double a = x[m * ldx + i], b = x[m * ldx + k + i];
        CHECK(expected[m * ld + i] == doctest::Approx(a / (1 + std::exp(-a)) * b).epsilon(1e-6).scale(1));
      }
  }
}

TEST_CASE("rotary positions equal their definition, and the reference on every class") {
  Random random(9);
  for (const int half : {2, 3, 8, 16, 24, 32, 64}) {
    CAPTURE(half);
    const int heads = 3, rows = 4;
    const auto h = static_cast<std::size_t>(half), ldx = 2 * h * 3 + 7;
    const auto x = activations(random, 4 * ldx), angles = random.floats(4 * h, -7, 7);
    std::vector<float> cos, sin;
    for (const float angle : angles) {
      cos.push_back(std::cos(angle));
      sin.push_back(std::sin(angle));
    }
    const auto run = [&](const Kernels& kernels) {
      auto y = x;
      kernels.rotate(y.data(), ldx, rows, heads, half, cos.data(), sin.data());
      return y;
    };
    const auto expected = run(reference_kernels);
    for (const auto& platform : test::platforms()) CHECK(same_bits(run(platform.kernels), expected));
    for (std::size_t m = 0; m < 4; ++m)
      for (std::size_t at = 0; at < ldx; ++at) {
        const std::size_t j = at % h, low = m * ldx + at / (2 * h) * 2 * h + j, high = low + h;
        double value = x[m * ldx + at];
        if (at < 2 * h * 3)
          value = at / h % 2 == 0 ? x[low] * double{cos[m * h + j]} - x[high] * double{sin[m * h + j]}
                                  : x[high] * double{cos[m * h + j]} + x[low] * double{sin[m * h + j]};
        CHECK(expected[m * ldx + at] == doctest::Approx(value).epsilon(1e-5).scale(10));
      }
  }
}

TEST_CASE("rows of zeros, of one value and of extreme values quantise the same on every class") {
  const float big = std::numeric_limits<float>::max(), tiny = std::numeric_limits<float>::denorm_min();
  const std::vector<std::vector<float>> rows = {std::vector<float>(70, 0.0f),   std::vector<float>(70, 5.0f),
                                                std::vector<float>(70, -5.0f),  std::vector<float>(70, tiny),
                                                std::vector<float>(70, 1e-29f), {-big, big, 1.0f, 0.0f}};
  for (const auto& platform : test::platforms())
    for (const auto& x : rows) {
      const auto run = [&](const Kernels& kernels) {
        std::vector<std::uint8_t> q(x.size() + sizeof(RowQuant));
        RowQuant quant{};
        kernels.quantize_rows(x.data(), x.size(), 1, static_cast<int>(x.size()), q.data(), x.size(), &quant);
        std::memcpy(q.data() + x.size(), &quant, sizeof quant);
        return q;
      };
      if (std::isfinite(x[0] - (x.size() > 1 ? x[1] : 0)))
        CHECK(same_bits(run(platform.kernels), run(reference_kernels)));
    }
}

TEST_CASE("keys and values become the same s8 weights on every class, exact to half a step") {
  Random random(7);
  for (const int n : {1, 16, 20, 64, 65, 197})
    for (const int k : {1, 7, 32, 64, 80}) {
      CAPTURE(n);
      CAPTURE(k);
      const auto N = static_cast<std::size_t>(n), K = static_cast<std::size_t>(k);
      auto src = activations(random, (N + 3) * (K + 3));
      for (std::size_t i = 0; i < K + 3; ++i) src[i] = 0.0f;  // a channel of zeros, for both
      for (std::size_t i = 0; i < N + 3; ++i) src[i * std::min(K + 3, src.size() / (N + 3))] = 0.0f;
      const PackedS8 shape{nullptr, n, k};
      const std::size_t columns = static_cast<std::size_t>(shape.panels()) * 64,
                        bytes = columns * static_cast<std::size_t>(shape.k_padded());
      struct Packed {
        std::vector<std::int8_t> data;
        std::vector<float> scale;
        std::vector<std::int32_t> sum;
      };
      const auto pack = [&](const Kernels& kernels, LayoutS8 layout, bool keys) {
        Packed p{std::vector<std::int8_t>(bytes, 77), std::vector<float>(columns, 7),
                 std::vector<std::int32_t>(columns, 7)};
        if (keys)
          kernels.pack_rows_s8(src.data(), K + 3, n, k, layout, p.data.data(), p.scale.data(), p.sum.data());
        else
          kernels.pack_columns_s8(src.data(), N + 3, k, n, layout, p.data.data(), p.scale.data(), p.sum.data());
        return p;
      };
      for (const auto& [layout, keys] : {std::pair{LayoutS8{64, 4}, true},
                                         {LayoutS8{64, 4}, false},
                                         {LayoutS8{8, 4}, true},
                                         {LayoutS8{8, 4}, false},
                                         {LayoutS8{8, 8}, true},
                                         {LayoutS8{8, 8}, false},
                                         {LayoutS8{4, 16}, true},
                                         {LayoutS8{4, 16}, false}}) {
        CAPTURE(layout.group);
        const Packed expected = pack(reference_kernels, layout, keys);
        for (const auto& platform : test::platforms()) {
          CAPTURE(platform.name);
          const Packed p = pack(platform.kernels, layout, keys);
          CHECK(same_bits(p.data, expected.data));
          CHECK(same_bits(p.scale, expected.scale));
          CHECK(same_bits(p.sum, expected.sum));
        }
        std::int64_t sum = 0, total = 0;
        for (const auto q : expected.data) total += q;
        for (std::size_t c = 0; c < N; ++c) {
          sum += expected.sum[c];
          for (std::size_t i = 0; i < K; ++i) {
            const float x = keys ? src[c * (K + 3) + i] : src[i * (N + 3) + c];
            const auto at = layout.at(static_cast<int>(c), static_cast<int>(i), shape.k_padded());
            const float back = expected.scale[c] * static_cast<float>(expected.data[at]);
            CHECK(std::fabs(back - x) <= expected.scale[c] * 0.501f);
          }
        }
        CHECK(sum == total);  // nothing but the channels' own elements: the padding is zero
      }
    }
}

TEST_CASE("quantised attention weights equal the reference on every class, and softmax to half a step") {
  Random random(8);
  for (const int cols : {1, 5, 16, 17, 63, 64, 197, 577}) {
    CAPTURE(cols);
    const int rows = 3;
    const std::size_t n = static_cast<std::size_t>(cols), ld = align_up(n), count = 3 * ld;
    std::vector<std::int32_t> acc(count), col_sum(ld);
    for (auto& x : acc) x = random.integer(-60'000, 60'000);
    for (std::size_t i = 0; i < n; ++i) acc[2 * ld + i] = -50'000;  // all alike and far below the padding's zero
    for (auto& x : col_sum) x = random.integer(-300, 300);
    std::fill(col_sum.begin() + cols, col_sum.end(), 0);
    const auto col_scale = random.floats(ld, 1e-2f, 2e-2f);
    const std::vector<RowQuant> quant{{1e-2f, 128}, {1e-3f, 0}, {1e-2f, 0}};
    struct Weights {
      std::vector<std::uint8_t> p;
      std::vector<RowQuant> quant;
    };
    const auto run = [&](const Kernels& kernels) {
      Weights w{std::vector<std::uint8_t>(count), quant};
      std::vector<float> row(ld);
      kernels.softmax_quantize(acc.data(), ld, rows, cols, {w.quant.data(), col_scale.data(), col_sum.data()}, 0.125f,
                               row.data(), w.p.data(), ld, w.quant.data());
      return w;
    };
    const Weights expected = run(reference_kernels);
    for (const auto& platform : test::platforms()) {
      CAPTURE(platform.name);
      const Weights w = run(platform.kernels);
      for (std::size_t m = 0; m < 3; ++m) {
        CHECK(std::memcmp(w.p.data() + m * ld, expected.p.data() + m * ld, n) == 0);
        CHECK(std::memcmp(&w.quant[m], &expected.quant[m], sizeof(RowQuant)) == 0);
      }
    }
    for (std::size_t m = 0; m < 3; ++m) {
      const auto score = [&](std::size_t t) {
        return static_cast<double>(acc[m * ld + t] - quant[m].zero_point * col_sum[t]) * col_scale[t] * quant[m].scale *
               0.125;
      };
      double top = score(0), sum = 0;
      for (std::size_t t = 0; t < n; ++t) top = std::max(top, score(t));
      for (std::size_t t = 0; t < n; ++t) {
        CHECK(std::fabs(expected.p[m * ld + t] - 255 * std::exp(score(t) - top)) < 0.5 + 3e-2);
        sum += 255 * std::exp(score(t) - top);
      }
      CHECK(expected.quant[m].scale == doctest::Approx(1.0 / sum).epsilon(2e-4));
      CHECK(expected.quant[m].zero_point == 0);
    }
  }
}

TEST_CASE("patch extraction equals the reference on every class") {
  for (const auto& platform : test::platforms()) {
    CAPTURE(platform.name);
    Random random(6);
    for (const std::size_t run : {1u, 3u, 16u, 24u, 42u, 48u, 50u, 96u, 98u}) {
      const int count = 7;
      const auto src = random.bytes((run + 5) * 7);
      const auto copy = [&](const Kernels& kernels) {
        std::vector<std::uint8_t> dst((run + 9) * 7, 1);
        kernels.copy_runs(src.data(), static_cast<std::ptrdiff_t>(run + 5), dst.data(),
                          static_cast<std::ptrdiff_t>(run + 9), run, count);
        return dst;
      };
      CHECK(same_bits(copy(platform.kernels), copy(reference_kernels)));
    }
  }
}
