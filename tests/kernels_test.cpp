// Every kernel of every class this CPU has gives the reference's bits, on odd sizes, strides and values, and the
// reference agrees with plain arithmetic in double.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>

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
    s8_error = std::max(s8_error, std::fabs(reference::activate_s8(x, Activation::gelu_erf) - gelu));
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
  CHECK(s8_error < 8e-5);
  CHECK(tanh_gelu_error < 2e-6);
  CHECK(quick_error < 2e-6);
  CHECK(tanh_error < 3e-7);
  for (const auto a : {Activation::gelu_erf, Activation::gelu_tanh, Activation::gelu_quick}) {
    CHECK(reference::activate(1000.0f, a) == 1000.0f);
    CHECK(std::fabs(reference::activate(-1000.0f, a)) < 1e-30f);
    CHECK(reference::activate_s8(1000.0f, a) == 1000.0f);
    CHECK(std::fabs(reference::activate_s8(-1000.0f, a)) < 1e-30f);
  }
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
      const int rows = 3;
      const auto cols = static_cast<std::size_t>(length), ld = cols + 5, count = ld * 3;
      const auto x = activations(random, count), gamma = random.floats(cols, 0.5f, 1.5f),
                 beta = random.floats(cols, -1.0f, 1.0f);
      const auto with = [&](const Kernels& kernels) {
        std::vector<float> out(count, 7.0f), row(cols);
        kernels.layer_norm(x.data(), ld, rows, length, gamma.data(), beta.data(), 1e-6f, out.data(), ld);
        return out;
      };
      CHECK(same_bits(with(k), with(reference_kernels)));

      const auto quantized = [&](const Kernels& kernels, bool normalized) {
        std::vector<float> row(cols);
        std::vector<std::uint8_t> q(count, 9);
        std::vector<RowQuant> quant(3);
        if (normalized)
          kernels.layer_norm_quantize(x.data(), ld, rows, length, gamma.data(), beta.data(), 1e-6f, row.data(),
                                      q.data(), ld, quant.data());
        else
          kernels.quantize_rows(x.data(), ld, rows, length, q.data(), ld, quant.data());
        q.insert(q.end(), reinterpret_cast<std::uint8_t*>(quant.data()),
                 reinterpret_cast<std::uint8_t*>(quant.data() + 3));
        return q;
      };
      CHECK(same_bits(quantized(k, false), quantized(reference_kernels, false)));
      CHECK(same_bits(quantized(k, true), quantized(reference_kernels, true)));

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

TEST_CASE("the int8 product is exact on every class") {
  for (const auto& platform : test::platforms()) {
    CAPTURE(platform.name);
    Random random(3);
    for (const int k : {1, 36, 64, 197, 512, 588, 1088})
      for (const int rows : {1, 2, 5, 6, 7, 12, 41, 48})
        for (const int cols : {3, 64, 100, 256}) {
          CAPTURE(k);
          CAPTURE(rows);
          CAPTURE(cols);
          const PackedS8 shape{nullptr, cols, k};
          const auto n = static_cast<std::size_t>(shape.panels()) * 64, K = static_cast<std::size_t>(shape.k_padded());
          const std::size_t lda = K + 64, m = static_cast<std::size_t>(rows), ldacc = n + 16;
          Aligned<std::uint8_t> a(m * lda), scratch(Kernels::gemm_scratch_bytes);
          Aligned<std::int32_t> b_sum(n);
          // Extremes first: 255 · ±127 in every product is where a saturating instruction would show. Whatever stands
          // behind a row of a is multiplied with zeros.
          for (std::size_t i = 0; i < a.size; ++i)
            a.data()[i] = rows % 2 ? 255 : static_cast<std::uint8_t>(random.bits());
          std::vector<std::int8_t> w(static_cast<std::size_t>(cols * k));
          for (auto& x : w)
            x = static_cast<std::int8_t>(rows == 1 ? 127 : rows == 5 ? -127 : random.integer(-127, 127));
          for (int c = 0; c < cols; ++c)
            for (int i = 0; i < k; ++i) b_sum.data()[c] += w[static_cast<std::size_t>(c * k + i)];
          const auto product = [&](const Kernels& kernels) {
            Aligned<std::int8_t> b(n * K);
            for (int c = 0; c < cols; ++c)
              for (int i = 0; i < k; ++i)
                b.data()[kernels.layout_s8.at(c, i, shape.k_padded())] = w[static_cast<std::size_t>(c * k + i)];
            Aligned<std::int32_t> acc(m * ldacc);
            kernels.gemm_u8s8({.a = a.data(),
                               .lda_bytes = lda,
                               .rows = rows,
                               .b = b.data(),
                               .b_sum = b_sum.data(),
                               .cols = cols,
                               .k = k,
                               .k_padded = shape.k_padded(),
                               .acc = acc.data(),
                               .ldacc = ldacc,
                               .scratch = scratch.data()});
            std::vector<std::int32_t> sums;
            for (std::size_t r = 0; r < m; ++r)
              sums.insert(sums.end(), acc.data() + r * ldacc,
                          acc.data() + r * ldacc + align_up(static_cast<std::size_t>(cols), 16));
            return sums;
          };
          const auto sums = product(reference_kernels);
          CHECK(same_bits(product(platform.kernels), sums));
          // The reference against the definition, on one element of each corner.
          const std::size_t width = sums.size() / m;
          for (const int c : {0, cols - 1}) {
            std::int64_t sum = 0;
            for (int i = 0; i < k; ++i)
              sum += a.data()[(m - 1) * lda + static_cast<std::size_t>(i)] * w[static_cast<std::size_t>(c * k + i)];
            CHECK(sums[(m - 1) * width + static_cast<std::size_t>(c)] == sum);
          }
        }
  }
}

TEST_CASE("the f32 product and the packing of its operand equal the reference on every class") {
  for (const auto& platform : test::platforms()) {
    CAPTURE(platform.name);
    Random random(4);
    for (const int k : {1, 7, 32, 64, 197})
      for (const int rows : {1, 5, 6, 11, 13, 48})
        for (const int n : {1, 16, 20, 64}) {
          const std::size_t lda = static_cast<std::size_t>(k) + 3, panels = static_cast<std::size_t>(n + 15) / 16;
          const auto a = random.floats(static_cast<std::size_t>(rows) * lda, -2, 2);
          const auto source = random.floats(static_cast<std::size_t>(n) * static_cast<std::size_t>(k), -2, 2);
          const auto multiply = [&](const Kernels& kernels, bool transposed) {
            std::vector<float> b(panels * 16 * static_cast<std::size_t>(k), 3.0f);
            if (transposed)
              kernels.pack_transposed_f32(source.data(), static_cast<std::size_t>(k), n, k, b.data());
            else
              kernels.pack_f32(source.data(), static_cast<std::size_t>(n), k, n, b.data());
            std::vector<float> c(static_cast<std::size_t>(rows) * panels * 16, 3.0f);
            kernels.gemm_f32(a.data(), lda, rows, b.data(), k, static_cast<int>(panels), c.data(), panels * 16);
            return c;
          };
          for (const bool transposed : {false, true}) {
            const auto c = multiply(platform.kernels, transposed);
            CHECK(same_bits(c, multiply(reference_kernels, transposed)));
            double sum = 0;
            for (std::size_t i = 0; i < static_cast<std::size_t>(k); ++i)
              sum += static_cast<double>(a[i]) *
                     source[transposed ? static_cast<std::size_t>(n - 1) * static_cast<std::size_t>(k) + i
                                       : i * static_cast<std::size_t>(n) + static_cast<std::size_t>(n - 1)];
            CHECK(c[static_cast<std::size_t>(n - 1)] == doctest::Approx(sum).epsilon(1e-4).scale(10));
          }
        }
  }
}

TEST_CASE("epilogues equal the reference on every class") {
  for (const auto& platform : test::platforms()) {
    CAPTURE(platform.name);
    Random random(5);
    for (const int cols : {1, 16, 20, 64, 100, 128})
      for (const auto activation :
           {Activation::none, Activation::gelu_erf, Activation::gelu_tanh, Activation::gelu_quick, Activation::tanh})
        for (const bool with_residual : {false, true}) {
          CAPTURE(cols);
          const int rows = 5;
          const std::size_t n = static_cast<std::size_t>(cols), ldacc = 128, ld = n + 3;
          std::vector<std::int32_t> acc(rows * ldacc), col_sum(128);
          for (auto& x : acc) x = random.integer(-20'000'000, 20'000'000);
          for (auto& x : col_sum) x = random.integer(-40'000, 40'000);
          const auto col_scale = random.floats(128, 1e-3f, 2e-3f), bias = random.floats(128, -1, 1),
                     residual = random.floats(rows * ld, -3, 3);
          std::vector<RowQuant> quant(rows);
          for (auto& q : quant) q = {random.uniform(1e-4f, 2e-4f), random.integer(0, 255)};
          const auto sums = random.floats(rows * ldacc, -6, 6);
          const auto finish = [&](const Kernels& kernels, bool s32) {
            auto dst = residual;
            const Epilogue e{cols == 20 ? nullptr : bias.data(), activation, with_residual ? dst.data() : nullptr, ld};
            if (s32)
              kernels.finish_s32(acc.data(), ldacc, rows, cols, {quant.data(), col_scale.data(), col_sum.data()}, e,
                                 dst.data(), ld);
            else
              kernels.finish_f32(sums.data(), ldacc, rows, cols, e, dst.data(), ld);
            return dst;
          };
          CHECK(same_bits(finish(platform.kernels, true), finish(reference_kernels, true)));
          CHECK(same_bits(finish(platform.kernels, false), finish(reference_kernels, false)));
        }
  }
}
