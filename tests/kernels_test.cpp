// Every kernel of every class this CPU has gives the reference's bits, on odd sizes, strides and values, and the
// reference agrees with plain arithmetic in double. Here: kernels on rows; kernels_products_test.cpp: products.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "tests/support/kernel_cases.hpp"

using namespace vitrail;
using namespace vitrail::test;

TEST_CASE("the reference's exp, GELU and tanh agree with the C library") {
  double exp_error = 0, erf_error = 0, tanh_gelu_error = 0, tanh_error = 0, quick_error = 0, exp2_error = 0,
         s8_error = 0;
  for (int i = -8600; i <= 8700; ++i) {
    const float x = static_cast<float>(i) * 0.01f;
    exp_error = std::max(exp_error, std::fabs(reference::exp(x) / std::exp(static_cast<double>(x)) - 1));
  }
  for (int i = -20000; i <= 20000; ++i) {
    const float x = static_cast<float>(i) * 0.0005f;
    const double d = x;
    const double tanh_gelu = 0.5 * d * (1 + std::tanh(std::sqrt(2 / M_PI) * (d + 0.044715 * d * d * d)));
    const double gelu = 0.5 * d * (1 + std::erf(d / std::sqrt(2.0)));
    erf_error = std::max(erf_error, std::fabs(reference::activate(x, Activation::gelu_erf) - gelu));
    s8_error = std::max(s8_error, std::fabs(reference::gelu_s8(x) - gelu));
    tanh_gelu_error = std::max(tanh_gelu_error, std::fabs(reference::activate(x, Activation::gelu_tanh) - tanh_gelu));
    quick_error = std::max(quick_error,
                           std::fabs(reference::activate(x, Activation::gelu_quick) - d / (1 + std::exp(-1.702 * d))));
    tanh_error = std::max(tanh_error, std::fabs(reference::activate(x, Activation::tanh) - std::tanh(d)));
  }
  for (int i = -12600; i <= 800; ++i) {
    const float x = static_cast<float>(i) * 0.01f;
    exp2_error = std::max(exp2_error, std::fabs(reference::exp2_s8(x) / std::exp2(static_cast<double>(x)) - 1));
  }
  CHECK(exp_error < 3e-7);
  CHECK(exp2_error < 1.1e-4);
  CHECK(erf_error < 2e-6);
  CHECK(s8_error < 7e-4);
  CHECK(tanh_gelu_error < 2e-6);
  CHECK(quick_error < 2e-6);
  CHECK(tanh_error < 3e-7);
  for (const auto a : {Activation::gelu_erf, Activation::gelu_tanh, Activation::gelu_quick}) {
    CHECK(reference::activate(1000.0f, a) == 1000.0f);
    CHECK(std::fabs(reference::activate(-1000.0f, a)) < 1e-30f);
  }
  CHECK(reference::gelu_s8(0.0f) == 0.0f);
  CHECK(reference::gelu_s8(1e30f) == 1e30f);
  CHECK(std::fabs(reference::gelu_s8(-1e30f)) < 7e-4f);
}

TEST_CASE("row quantisation is invertible to half a step and exact at zero") {
  Random random(1);
  for (const int k : lengths) {
    const auto x = activations(random, static_cast<std::size_t>(k));
    std::vector<std::uint8_t> q(static_cast<std::size_t>(k));
    RowQuant quant{};
    reference_kernels.quantize_rows(x.data(), x.size(), 1, k, q.data(), q.size(), &quant);
    CHECK(quant.zero_point >= 0);
    CHECK(quant.zero_point <= 255);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const float back = quant.scale * static_cast<float>(q[i] - quant.zero_point);
      CHECK(std::fabs(back - x[i]) <= quant.scale * 1.01f);  // half a step for the value, half for the zero point
      if (x[i] == 0.0f) CHECK(back == 0.0f);
    }
  }
}

TEST_CASE("row kernels equal the reference on every class") {
  for (const auto& platform : test::platforms()) {
    CAPTURE(platform.name);
    const Kernels& k = platform.kernels;
    Random random(2);
    for (const int length : lengths) {
      CAPTURE(length);
      const int rows = Kernels::rows_together + 2;
      const auto cols = static_cast<std::size_t>(length), ld = cols + 5, count = ld * rows;
      const auto x = activations(random, count), gamma = random.floats(cols, 0.5f, 1.5f),
                 beta = random.floats(cols, -1.0f, 1.0f);
      const auto with = [&](const Kernels& kernels) {
        std::vector<float> out(count, 7.0f);
        kernels.layer_norm(x.data(), ld, rows, length, gamma.data(), beta.data(), 1e-6f, out.data(), ld);
        return out;
      };
      CHECK(same_bits(with(k), with(reference_kernels)));

      const auto quantized = [&](const Kernels& kernels, bool normalized) {
        std::vector<float> scratch(Kernels::rows_together * cols);
        std::vector<std::uint8_t> q(count, 9);
        std::vector<RowQuant> quant(rows);
        if (normalized)
          kernels.layer_norm_quantize(x.data(), ld, rows, length, gamma.data(), beta.data(), 1e-6f, scratch.data(),
                                      q.data(), ld, quant.data());
        else
          kernels.quantize_rows(x.data(), ld, rows, length, q.data(), ld, quant.data());
        q.insert(q.end(), reinterpret_cast<std::uint8_t*>(quant.data()),
                 reinterpret_cast<std::uint8_t*>(quant.data() + rows));
        return q;
      };
      CHECK(same_bits(quantized(k, false), quantized(reference_kernels, false)));
      CHECK(same_bits(quantized(k, true), quantized(reference_kernels, true)));

      for (const auto activation :
           {Activation::none, Activation::gelu_erf, Activation::gelu_tanh, Activation::gelu_quick, Activation::tanh}) {
        CAPTURE(static_cast<int>(activation));
        const auto activated = [&](const Kernels& kernels) {
          std::vector<float> scratch(2 * cols);
          std::vector<std::uint8_t> q(count, 9);
          std::vector<RowQuant> quant(rows);
          kernels.activate_quantize(x.data(), ld, rows, length, activation, scratch.data(), q.data(), ld, quant.data());
          q.insert(q.end(), reinterpret_cast<std::uint8_t*>(quant.data()),
                   reinterpret_cast<std::uint8_t*>(quant.data() + rows));
          return q;
        };
        CHECK(same_bits(activated(k), activated(reference_kernels)));
      }

      const auto softmax = [&](const Kernels& kernels) {
        auto y = x;
        kernels.softmax(y.data(), ld, rows, length, 0.125f);
        return y;
      };
      const auto p = softmax(k);
      CHECK(same_bits(p, softmax(reference_kernels)));
      double sum = 0;
      for (std::size_t i = 0; i < cols; ++i) sum += p[i];
      CHECK(sum == doctest::Approx(1.0).epsilon(1e-5));
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
      CHECK(same_bits(run(platform.kernels), run(reference_kernels)));
    }
}

TEST_CASE("a row that leaves f32 is quantised to nothing, with a scale that says so") {
  const float inf = std::numeric_limits<float>::infinity(), most = std::numeric_limits<float>::max();
  const auto scale_of = [](const Kernels& kernels, const std::vector<float>& x) {
    std::vector<std::uint8_t> q(x.size(), 9);
    RowQuant quant{};
    kernels.quantize_rows(x.data(), x.size(), 1, static_cast<int>(x.size()), q.data(), x.size(), &quant);
    CHECK(q == std::vector<std::uint8_t>(x.size(), 0));
    CHECK(quant.zero_point == 0);
    return quant.scale;
  };
  for (const auto& platform : test::platforms()) {
    CAPTURE(platform.name);
    for (const auto& [low, high] : {std::pair{-inf, 1.0f}, {-1.0f, inf}, {-inf, inf}, {-most, most}}) {
      std::vector<float> x(100, 0.5f);
      x[3] = low;
      x[70] = high;
      CHECK(scale_of(platform.kernels, x) == inf);
    }
    const std::vector<float> nothing(100, std::numeric_limits<float>::quiet_NaN());
    CHECK(std::isnan(scale_of(platform.kernels, nothing)));
  }
}

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

TEST_CASE("patch extraction copies its runs and nothing else on every class") {
  for (const auto& platform : test::platforms()) {
    CAPTURE(platform.name);
    Random random(6);
    for (const std::ptrdiff_t run : {1, 3, 14, 15, 16, 24, 31, 32, 33, 42, 48, 50, 96, 98})
      for (const int count : {1, 7, 8, 9, 20}) {
        const int lines = 3;
        const Runs runs{.bytes = static_cast<std::size_t>(run),
                        .lines = lines,
                        .count = count,
                        .src_line = count * (run + 5),
                        .src_step = run + 5,
                        .dst_line = run + 2,
                        .dst_step = lines * (run + 2) + 1};
        const auto src = random.bytes(static_cast<std::size_t>(lines * runs.src_line - 5));  // to the byte
        std::vector<std::uint8_t> dst(static_cast<std::size_t>(count * runs.dst_step), 1), expected = dst;
        for (int line = 0; line < lines; ++line)
          for (int i = 0; i < count; ++i)
            std::copy_n(src.data() + line * runs.src_line + i * runs.src_step, run,
                        expected.data() + line * runs.dst_line + i * runs.dst_step);
        platform.kernels.copy_runs(src.data(), dst.data(), runs);
        CHECK(same_bits(dst, expected));
      }
  }
}
