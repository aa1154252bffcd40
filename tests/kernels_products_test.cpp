// The products, int8 and f32, with what prepares their operands and finishes their sums; as in kernels_test.cpp.
#include <doctest/doctest.h>
#include <algorithm>

#include <cmath>
#include <cstring>
#include <limits>

#include "tests/support/kernel_cases.hpp"

using namespace vitrail;
using namespace vitrail::test;

TEST_CASE("the int8 product is exact on every class") {
  for (const auto& platform : test::platforms()) {
    CAPTURE(platform.name);
    Random random(3);
    for (const int k : {1, 36, 64, 197, 512, 588, 1088, GemmU8S8Tile::largest_k})
      for (const int rows : {1, 2, 5, 6, 7, 12, 17, 31, 33, 41, 48, 54, 64})
        for (const int cols : {3, 64, 100, 256, 384}) {
          if (cols == 384 && k > 512) continue;
          if (k > 1088 && (cols != 64 || (rows != 1 && rows != 5))) continue;
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

TEST_CASE("the f32 product rounds once, also where a sum in double lies between two floats") {
  const float ulp = std::ldexp(1.0f, -23), denormal = std::ldexp(1.0f, -149);
  struct Case {
    float x, y, z;
  };
  std::vector<Case> cases = {
      // x · y is a little less or more than half an ulp of z, by less than a double of that size can say.
      {std::ldexp(1 - ulp, -12), std::ldexp(1 + ulp, -12), 1 + ulp},
      {std::ldexp(1 - ulp, -12), std::ldexp(1 + ulp, -12), -1},
      {std::ldexp(1 - ulp, -75), std::ldexp(1 + ulp, -75), std::ldexp(1.0f, -130) + denormal},
      {std::ldexp(1 - ulp, 51), std::ldexp(1 + ulp, 52), std::numeric_limits<float>::max()},
      {denormal, 0.5f, 0},
      {denormal, 0.75f, denormal},
      {1, 1, -1},
      {-0.0f, 1, 0},
      {std::numeric_limits<float>::max(), 2, 1},
  };
  Random random(11);
  const auto factor = [&] { return std::ldexp(random.uniform(-2, 2), random.integer(-80, 5)); };
  for (int i = 0; i < 600; ++i) cases.push_back({factor(), factor(), std::ldexp(factor(), random.integer(-60, 0))});
  while (cases.size() % 16 != 0) cases.push_back({1, 1, 1});

  for (const auto& platform : test::platforms()) {
    CAPTURE(platform.name);
    for (std::size_t first = 0; first < cases.size(); first += 16)
      for (std::size_t i = first; i < first + 16; ++i) {  // one x for all lanes: others than lane i say little
        const float a[2] = {1, cases[i].x};
        Aligned<float> b(32), c(16);
        for (std::size_t lane = 0; lane < 16; ++lane) {
          b.data()[lane] = cases[first + lane].z;
          b.data()[16 + lane] = cases[first + lane].y;
        }
        platform.kernels.gemm_f32(a, 2, 1, b.data(), 2, 1, c.data(), 16);
        for (std::size_t lane = 0; lane < 16; ++lane) {
          const float expected = std::fma(a[1], b.data()[16 + lane], std::fma(1.0f, b.data()[lane], 0.0f));
          CAPTURE(i);
          CAPTURE(lane);
          REQUIRE(same_bits(std::vector<float>{c.data()[lane]}, std::vector<float>{expected}));
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
          const bool fits_f32 = with_residual;
          const int k = fits_f32 ? 518 : 519;
          CAPTURE(cols);
          const int rows = 5;
          const std::size_t n = static_cast<std::size_t>(cols), ldacc = 128, ld = n + 3;
          std::vector<std::int32_t> acc(rows * ldacc), col_sum(128);
          const auto col_scale = random.floats(128, 1e-3f, 2e-3f), bias = random.floats(128, -1, 1),
                     residual = random.floats(rows * ld, -3, 3);
          std::vector<RowQuant> quant(rows);
          for (auto& q : quant) q = {random.uniform(1e-4f, 2e-4f), random.integer(0, 255)};
          const int most = k * 255 * 127;
          for (auto& x : col_sum) x = random.integer(-k * 60, k * 60);
          for (std::size_t i = 0; i < acc.size(); ++i) {
            const int offset = quant[i / ldacc].zero_point * col_sum[i % ldacc];
            acc[i] = std::clamp(offset + random.integer(-most / 2, most / 2), -most, most);
          }
          const auto sums = random.floats(rows * ldacc, -6, 6);
          const auto finish = [&](const Kernels& kernels, bool s32) {
            auto dst = residual;
            const Epilogue e{cols == 20 ? nullptr : bias.data(), activation, with_residual ? dst.data() : nullptr, ld};
            if (s32)
              kernels.finish_s32(acc.data(), ldacc, rows, cols, {quant.data(), col_scale.data(), col_sum.data(), k}, e,
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

TEST_CASE("a linear layer's tile equals the product and then its epilogue on every class") {
  Random random(12);
  for (const int k : {1, 36, 197, 768, 33'025, 33'026})  // up to 33 025 a VNNI tile is finished at once
    for (const int rows : {1, 2, 9, 10, 11, 12, 17, 33, 54, 63, 64})
      for (const int cols : {20, 48, 64, 192, 384}) {
        if (cols == 384 && rows < 54) continue;
        if (k > 768 && (rows != 2 || cols != 64)) continue;
        CAPTURE(k);
        CAPTURE(rows);
        CAPTURE(cols);
        const PackedS8 shape{nullptr, cols, k};
        const auto n = static_cast<std::size_t>(shape.panels()) * 64, K = static_cast<std::size_t>(shape.k_padded());
        const std::size_t m = static_cast<std::size_t>(rows), ld = static_cast<std::size_t>(cols) + 3;
        // Extremes in a row and in two columns: the largest sums, and the largest corrections for a zero point.
        Aligned<std::uint8_t> a(m * K), scratch(Kernels::gemm_scratch_bytes);
        for (std::size_t i = 0; i < a.size; ++i) a.data()[i] = i < K ? 255 : static_cast<std::uint8_t>(random.bits());
        std::vector<RowQuant> quant(m);
        for (auto& q : quant) q = {random.uniform(1e-4f, 2e-4f), random.integer(0, 255)};
        quant.back().zero_point = 255;
        std::vector<std::int8_t> w(static_cast<std::size_t>(cols * k));
        for (auto& x : w) x = static_cast<std::int8_t>(random.integer(-127, 127));
        std::fill_n(w.begin(), k, std::int8_t{-127});
        std::fill_n(w.begin() + k, k, std::int8_t{127});
        Aligned<std::int32_t> col_sum(n), acc(m * n);
        for (int c = 0; c < cols; ++c)
          for (int i = 0; i < k; ++i) col_sum.data()[c] += w[static_cast<std::size_t>(c * k + i)];
        const auto col_scale = random.floats(n, 1e-3f, 2e-3f), bias = random.floats(n, -1, 1),
                   residual = random.floats(m * ld, -3, 3);
        const Dequant dequant{quant.data(), col_scale.data(), col_sum.data(), k};
        Aligned<std::int8_t> b(n * K);
        const auto tile_for = [&](const Kernels& kernels) {
          std::fill_n(b.data(), n * K, std::int8_t{0});  // each layout has its padding elsewhere
          for (int c = 0; c < cols; ++c)
            for (int i = 0; i < k; ++i)
              b.data()[kernels.layout_s8.at(c, i, shape.k_padded())] = w[static_cast<std::size_t>(c * k + i)];
          return GemmU8S8Tile{.a = a.data(),
                              .lda_bytes = K,
                              .rows = rows,
                              .b = b.data(),
                              .b_sum = col_sum.data(),
                              .cols = cols,
                              .k = k,
                              .k_padded = shape.k_padded(),
                              .acc = acc.data(),
                              .ldacc = n,
                              .scratch = scratch.data(),
                              .ahead = {b.data(), n * K}};
        };
        reference_kernels.gemm_u8s8(tile_for(reference_kernels));
        const std::vector<std::int32_t> sums(acc.data(), acc.data() + m * n);
        for (const auto& platform : test::platforms()) {
          if (platform.name == "reference") continue;
          CAPTURE(platform.name);
          const Kernels& kernels = platform.kernels;
          const GemmU8S8Tile tile = tile_for(kernels);
          for (const auto activation : {Activation::none, Activation::gelu_erf, Activation::gelu_tanh})
            for (const bool with_residual : {false, true}) {
              CAPTURE(with_residual);
              auto dst = residual, expected = residual, at_once = residual;
              const auto epilogue = [&](std::vector<float>& values) {
                return Epilogue{bias.data(), activation, with_residual ? values.data() : nullptr, ld};
              };
              reference_kernels.finish_s32(sums.data(), n, rows, cols, dequant, epilogue(expected), expected.data(),
                                           ld);
              kernels.linear_u8s8(tile, dequant, epilogue(dst), dst.data(), ld);
              CHECK(same_bits(dst, expected));
              if (!kernels.linear_at_once) continue;
              const bool in_networks = cols % 64 == 0 && k <= 768 && activation == Activation::none;
              const bool done = kernels.linear_at_once(tile, dequant, epilogue(at_once), at_once.data(), ld);
              CHECK((done || !in_networks));
              CHECK(same_bits(at_once, done ? expected : residual));
            }
        }
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
      for (std::size_t i = 0; i < K + 3; ++i) src[i] = 0.0f;        // a channel of zeros among the keys
      for (std::size_t i = 0; i < K; ++i) src[i * (N + 3)] = 0.0f;  // and among the values
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
                                         {LayoutS8{32, 4}, true},
                                         {LayoutS8{32, 4}, false},
                                         {LayoutS8{16, 4}, true},
                                         {LayoutS8{16, 4}, false},
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
  for (const int cols : {1, 5, 16, 17, 62, 63, 64, 197, 198, 577}) {
    CAPTURE(cols);
    // The third row's scores are all alike and far below the padding's zero, the fourth one's only an order.
    const std::vector<RowQuant> quant{{1e-2f, 128}, {1e-3f, 0}, {1e-2f, 0}, {1e3f, 7}, {3e-3f, 255}};
    const int rows = static_cast<int>(quant.size());
    const std::size_t n = static_cast<std::size_t>(cols), ld = align_up(n), count = quant.size() * ld;
    std::vector<std::int32_t> acc(count), col_sum(ld);
    for (auto& x : acc) x = random.integer(-60'000, 60'000);
    for (std::size_t i = 0; i < n; ++i) acc[2 * ld + i] = -50'000;
    for (auto& x : col_sum) x = random.integer(-300, 300);
    std::fill(col_sum.begin() + cols, col_sum.end(), 0);
    const auto col_scale = random.floats(ld, 1e-2f, 2e-2f);
    struct Weights {
      std::vector<std::uint8_t> p;
      std::vector<RowQuant> quant;
    };
    const int k = cols % 2 == 0 ? 64 : 1024;
    const auto run = [&](const Kernels& kernels) {
      Weights w{std::vector<std::uint8_t>(count), quant};
      std::vector<float> scratch(3 * ld);
      auto sums = acc;
      kernels.softmax_quantize(sums.data(), ld, rows, cols, {w.quant.data(), col_scale.data(), col_sum.data(), k},
                               0.125f, scratch.data(), w.p.data(), ld, w.quant.data());
      return w;
    };
    const Weights expected = run(reference_kernels);
    for (const auto& platform : test::platforms()) {
      CAPTURE(platform.name);
      const Weights w = run(platform.kernels);
      for (std::size_t m = 0; m < quant.size(); ++m) {
        CHECK(std::memcmp(w.p.data() + m * ld, expected.p.data() + m * ld, n) == 0);
        CHECK(std::memcmp(&w.quant[m], &expected.quant[m], sizeof(RowQuant)) == 0);
      }
    }
    for (std::size_t m = 0; m < quant.size(); ++m) {
      const auto score = [&](std::size_t t) {
        return static_cast<double>(acc[m * ld + t] - quant[m].zero_point * col_sum[t]) * col_scale[t] * quant[m].scale *
               0.125;
      };
      double top = score(0), sum = 0;
      for (std::size_t t = 0; t < n; ++t) top = std::max(top, score(t));
      if (m == 3) {
        REQUIRE(std::fabs(top) > 8192);
        for (std::size_t t = 0; t < n; ++t)
          CHECK((expected.p[m * ld + t] == 255) == (score(t) > top - 1e-4 * std::fabs(top)));
        continue;
      }
      for (std::size_t t = 0; t < n; ++t) {
        CHECK(std::fabs(expected.p[m * ld + t] - 255 * std::exp(score(t) - top)) < 0.5 + 3e-2);
        sum += 255 * std::exp(score(t) - top);
      }
      CHECK(expected.quant[m].scale == doctest::Approx(1.0 / sum).epsilon(2e-4));
      CHECK(expected.quant[m].zero_point == 0);
    }
  }
}
