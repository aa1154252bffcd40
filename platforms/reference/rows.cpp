// Reference kernels on rows: LayerNorm, quantisation, softmax, and the copies.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "platforms/numerics.hpp"
#include "platforms/reference/rows.hpp"

namespace vitrail::reference {

float exp(float x) {
  using E = numerics::Exp;
  x = std::min(std::max(x, E::lowest), E::highest);
  const float n = std::nearbyintf(x * E::log2e);
  float r = std::fma(-n, E::ln2_hi, x);
  r = std::fma(-n, E::ln2_lo, r);
  const float r2 = r * r;
  const float q = std::fma(r2, std::fma(E::c[3], r, E::c[2]), std::fma(E::c[1], r, E::c[0]));
  const float p = std::fma(q, r2, r) + 1.0f;
  return p * std::bit_cast<float>((static_cast<std::int32_t>(n) + 127) << 23);
}

namespace {

/// The contract's row sum of terms: `term(k, accumulator)` returns the new accumulator.
template <class Term>
float sum_terms(int count, Term term) {
  float acc[64] = {};
  const int padded = (count + 63) / 64 * 64;
  for (int k = 0; k < padded; ++k) acc[k % 64] = k < count ? term(k, acc[k % 64]) : acc[k % 64] + 0.0f;
  for (int half = 32; half >= 1; half /= 2)
    for (int i = 0; i < half; ++i) acc[i] += acc[i + half];
  return acc[0];
}

void layer_norm_row(const float* x, int k, const float* gamma, const float* beta, float eps, float* dst) {
  const float mean = row_sum(x, k) / static_cast<float>(k);
  const float var = sum_terms(k,
                              [&](int i, float acc) {
                                const float d = x[i] - mean;
                                return std::fma(d, d, acc);
                              }) /
                    static_cast<float>(k);
  const float rstd = 1.0f / std::sqrt(var + eps);
  for (int i = 0; i < k; ++i) dst[i] = std::fma((x[i] - mean) * rstd, gamma[i], beta[i]);
}

void quantize_row(const float* x, int k, std::uint8_t* q, RowQuant* quant) {
  float lo = 0.0f, hi = 0.0f;
  for (int i = 0; i < k; ++i) {
    lo = lo < x[i] ? lo : x[i];  // NaN, where all are
    hi = hi > x[i] ? hi : x[i];
  }
  const float range = hi - lo;
  if (!(range >= numerics::smallest_range)) {
    *quant = {std::isnan(range) ? range : 1.0f, 0};
    std::memset(q, 0, static_cast<std::size_t>(k));
    return;
  }
  const float inv = 255.0f / range;
  const auto zero_point = inv > 0 ? static_cast<std::int32_t>(std::nearbyintf(-lo * inv)) : 0;
  for (int i = 0; i < k; ++i) {
    const float steps = std::nearbyintf(x[i] * inv);
    const auto v = std::isnan(steps) ? 0 : static_cast<std::int32_t>(steps) + zero_point;
    q[i] = static_cast<std::uint8_t>(std::clamp(v, 0, 255));
  }
  *quant = {range / 255.0f, zero_point};
}

}  // namespace

float row_sum(const float* x, int count) {
  return sum_terms(count, [&](int i, float acc) { return acc + x[i]; });
}

void layer_norm(const float* x, std::size_t ldx, int rows, int k, const float* gamma, const float* beta, float eps,
                float* dst, std::size_t ld_dst) {
  for (int m = 0; m < rows; ++m) layer_norm_row(x + m * ldx, k, gamma, beta, eps, dst + m * ld_dst);
}

void quantize_rows(const float* x, std::size_t ldx, int rows, int k, std::uint8_t* q, std::size_t ldq_bytes,
                   RowQuant* quant) {
  for (int m = 0; m < rows; ++m) quantize_row(x + m * ldx, k, q + m * ldq_bytes, quant + m);
}

void layer_norm_quantize(const float* x, std::size_t ldx, int rows, int k, const float* gamma, const float* beta,
                         float eps, float* row, std::uint8_t* q, std::size_t ldq_bytes, RowQuant* quant) {
  for (int m = 0; m < rows; ++m) {
    layer_norm_row(x + m * ldx, k, gamma, beta, eps, row);
    quantize_row(row, k, q + m * ldq_bytes, quant + m);
  }
}

void activate_quantize(const float* x, std::size_t ldx, int rows, int k, Activation activation, float* row,
                       std::uint8_t* q, std::size_t ldq_bytes, RowQuant* quant) {
  for (int m = 0; m < rows; ++m, x += ldx) {
    for (int i = 0; i < k; ++i)
      row[i] = activation == Activation::gelu_erf ? gelu_s8(x[i]) : activate(x[i], activation);
    quantize_row(row, k, q + m * ldq_bytes, quant + m);
  }
}

void softmax(float* x, std::size_t ldx, int rows, int cols, float scale) {
  for (int m = 0; m < rows; ++m) {
    float* row = x + m * ldx;
    const float top = *std::max_element(row, row + cols);
    for (int i = 0; i < cols; ++i) row[i] = exp((row[i] - top) * scale);
    const float inv = 1.0f / row_sum(row, cols);
    for (int i = 0; i < cols; ++i) row[i] *= inv;
  }
}

void swiglu(const float* x, std::size_t ldx, int rows, int k, float* dst, std::size_t ld_dst) {
  for (int m = 0; m < rows; ++m, x += ldx, dst += ld_dst)
    for (int i = 0; i < k; ++i) dst[i] = x[i] / (1.0f + exp(-x[i])) * x[k + i];
}

void rotate(float* x, std::size_t ldx, int rows, int heads, int half, const float* cos, const float* sin) {
  for (int m = 0; m < rows; ++m, x += ldx, cos += half, sin += half)
    for (int h = 0; h < heads; ++h) {
      float *low = x + 2 * h * half, *high = low + half;
      for (int j = 0; j < half; ++j) {
        const float a = low[j], b = high[j];
        low[j] = std::fma(-b, sin[j], a * cos[j]);
        high[j] = std::fma(a, sin[j], b * cos[j]);
      }
    }
}

void pack_transposed_f32(const float* src, std::size_t ld_src, int n, int k, float* dst) {
  for (int n0 = 0; n0 < n; n0 += PackedF32::panel)
    for (int i = 0; i < k; ++i)
      for (int j = 0; j < PackedF32::panel; ++j) *dst++ = n0 + j < n ? src[(n0 + j) * ld_src + i] : 0.0f;
}

void pack_f32(const float* src, std::size_t ld_src, int k, int n, float* dst) {
  for (int n0 = 0; n0 < n; n0 += PackedF32::panel)
    for (int i = 0; i < k; ++i)
      for (int j = 0; j < PackedF32::panel; ++j) *dst++ = n0 + j < n ? src[i * ld_src + n0 + j] : 0.0f;
}

}  // namespace vitrail::reference
