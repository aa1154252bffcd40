// Reference matrix products and their epilogues, and the complete table.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "platforms/numerics.hpp"
#include "platforms/patch_runs.hpp"
#include "platforms/reference/rows.hpp"

namespace vitrail::reference {

namespace {

/// The powers of s, the argument of erf's polynomial, and its chains (platforms/numerics.hpp).
struct Powers {
  using P = numerics::ErfSqrt2;
  float s, s2, s3, s4;
  explicit Powers(float x)
      : s(std::min(std::fma(x * x, P::t_scale, -1.0f), 1.0f)), s2(s * s), s3(s2 * s), s4(s2 * s2) {}
  float chain(int i) const {
    const float* c = P::c + 4 * i;
    return std::fma(s3, c[3], std::fma(s2, c[2], std::fma(s, c[1], c[0])));
  }
};

}  // namespace

float activate(float x, Activation activation) {
  if (activation == Activation::none) return x;
  if (activation == Activation::tanh) return 1.0f - 2.0f / (1.0f + exp(x + x));
  if (activation == Activation::gelu_tanh) {
    using G = numerics::GeluTanh;
    return x / (1.0f + exp(x * std::fma(x * x, G::cubic, G::linear)));
  }
  if (activation == Activation::gelu_quick) return x / (1.0f + exp(x * numerics::GeluQuick::linear));
  const Powers p(x);
  const float high = std::fma(std::fma(Powers::P::c[12], p.s4, p.chain(2)), p.s4, p.chain(1));
  const float erf = std::clamp(x * std::fma(high, p.s4, p.chain(0)), -1.0f, 1.0f);
  const float half = 0.5f * x;
  return std::fma(half, erf, half);
}

float gelu_s8(float x) {
  using G = numerics::GeluS8;
  const float u = std::min(std::fabs(x), G::limit);
  float p = G::c[5];
  for (int i = 4; i >= 0; --i) p = std::fma(p, u, G::c[i]);
  return std::fma(u, p, std::max(x, 0.0f));
}

namespace {

void gemm_u8s8(const GemmU8S8Tile& t) {
  constexpr int panel = PackedS8::panel;
  constexpr LayoutS8 layout;
  static_assert(layout.columns == panel);
  for (int n0 = 0; n0 < t.cols; n0 += panel)
    for (int m = 0; m < t.rows; ++m) {
      const std::uint8_t* a = t.a + m * t.lda_bytes;
      std::int32_t* acc = t.acc + m * t.ldacc + n0;
      std::fill_n(acc, panel, 0);
      for (int k = 0; k < t.k; k += layout.group) {
        const std::int8_t* group = t.b + layout.at(n0, k, t.k_padded);
        for (int n = 0; n < panel; ++n)
          for (int i = 0; i < layout.group; ++i) acc[n] += a[k + i] * group[n * layout.group + i];
      }
    }
}

void gemm_f32(const float* a, std::size_t lda, int rows, const float* b, int k, int panels, float* c, std::size_t ldc) {
  constexpr int panel = PackedF32::panel;
  for (int p = 0; p < panels; ++p, b += static_cast<std::size_t>(k) * panel, c += panel)
    for (int m = 0; m < rows; ++m) {
      float acc[panel] = {};
      for (int i = 0; i < k; ++i)
        for (int n = 0; n < panel; ++n) acc[n] = std::fma(a[m * lda + i], b[i * panel + n], acc[n]);
      std::copy_n(acc, panel, c + m * ldc);
    }
}

float add_residual(float y, int m, int n, const Epilogue& e) {
  return e.residual ? e.residual[m * e.ld_residual + n] + y : y;
}

void finish_s32(const std::int32_t* acc, std::size_t ldacc, int rows, int cols, const Dequant& d, const Epilogue& e,
                float* dst, std::size_t ld_dst) {
  for (int m = 0; m < rows; ++m)
    for (int n = 0; n < cols; ++n) {
      const float sum = static_cast<float>(acc[m * ldacc + n] - d.row[m].zero_point * d.col_sum[n]);
      const float y = std::fma(sum, d.row[m].scale * d.col_scale[n], e.bias ? e.bias[n] : 0.0f);
      dst[m * ld_dst + n] = add_residual(activate(y, e.activation), m, n, e);
    }
}

void finish_f32(const float* acc, std::size_t ldacc, int rows, int cols, const Epilogue& e, float* dst,
                std::size_t ld_dst) {
  for (int m = 0; m < rows; ++m)
    for (int n = 0; n < cols; ++n) {
      const float y = acc[m * ldacc + n] + (e.bias ? e.bias[n] : 0.0f);
      dst[m * ld_dst + n] = add_residual(activate(y, e.activation), m, n, e);
    }
}

/// As the compiler moves a number of bytes that it knows.
struct CopyBytes {
  template <std::size_t bytes>
  [[gnu::always_inline]] static void of(const std::uint8_t* src, std::uint8_t* dst) noexcept {
    std::memcpy(dst, src, bytes);
  }
};

}  // namespace

Kernels kernels() {
  return {
      .copy_runs = copy_runs<CopyBytes>,
      .split_pixels = split_pixels,
      .resize_row = resize_row,
      .blend_rows = blend_rows,
      .layer_norm = layer_norm,
      .quantize_rows = quantize_rows,
      .layer_norm_quantize = layer_norm_quantize,
      .activate_quantize = activate_quantize,
      .softmax = softmax,
      .swiglu = swiglu,
      .rotate = rotate,
      .gemm_u8s8 = gemm_u8s8,
      .gemm_tile = {.row_unit = 1},
      .layout_s8 = {},
      .gemm_f32 = gemm_f32,
      .finish_s32 = finish_s32,
      .linear_at_once = nullptr,
      .finish_f32 = finish_f32,
      .pack_transposed_f32 = pack_transposed_f32,
      .pack_f32 = pack_f32,
      .pack_rows_s8 = pack_rows_s8,
      .pack_columns_s8 = pack_columns_s8,
      .softmax_quantize = softmax_quantize,
      .peak_u8s8 = nullptr,
      .peak_f32 = nullptr,
      .simd_name = "reference",
      .gemm_name = "reference",
  };
}

}  // namespace vitrail::reference
