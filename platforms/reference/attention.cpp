// Reference kernels of int8 attention.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "platforms/numerics.hpp"
#include "platforms/reference/rows.hpp"

namespace vitrail::reference {

float exp2_s8(float x) {
  using E = numerics::Exp2S8;
  x = std::max(x, E::lowest);
  const float n = std::nearbyintf(x), r = x - n;
  const float p = std::fma(std::fma(std::fma(E::c[2], r, E::c[1]), r, E::c[0]), r, 1.0f);
  return p * std::bit_cast<float>((static_cast<std::int32_t>(n) + 127) << 23);
}

namespace {

/// One output channel: k elements `step` apart into column n of a PackedS8.
void pack_channel(const float* src, std::size_t step, int k, int n, LayoutS8 layout, int k_padded, std::int8_t* dst,
                  float* scale, std::int32_t* sum) {
  float top = numerics::smallest_absmax;
  for (int i = 0; i < k; ++i) top = std::max(top, std::fabs(src[static_cast<std::size_t>(i) * step]));
  const float inv = 127.0f / top;
  std::int32_t total = 0;
  for (int i = 0; i < k; ++i) {
    const auto q = static_cast<std::int8_t>(std::nearbyintf(src[static_cast<std::size_t>(i) * step] * inv));
    dst[layout.at(n, i, k_padded)] = q;
    total += q;
  }
  scale[n] = top / 127.0f;
  sum[n] = total;
}

void clear(int n, int k, std::int8_t* dst, float* scale, std::int32_t* sum) {
  const PackedS8 shape{dst, n, k};
  const auto columns = static_cast<std::size_t>(shape.panels()) * PackedS8::panel;
  std::memset(dst, 0, columns * static_cast<std::size_t>(shape.k_padded()));
  std::fill_n(scale, columns, 0.0f);
  std::fill_n(sum, columns, 0);
}

}  // namespace

void pack_rows_s8(const float* src, std::size_t ld_src, int n, int k, LayoutS8 layout, std::int8_t* dst, float* scale,
                  std::int32_t* sum) {
  clear(n, k, dst, scale, sum);
  const int k_padded = PackedS8{dst, n, k}.k_padded();
  for (int i = 0; i < n; ++i)
    pack_channel(src + static_cast<std::size_t>(i) * ld_src, 1, k, i, layout, k_padded, dst, scale, sum);
}

void pack_columns_s8(const float* src, std::size_t ld_src, int k, int n, LayoutS8 layout, std::int8_t* dst,
                     float* scale, std::int32_t* sum) {
  clear(n, k, dst, scale, sum);
  const int k_padded = PackedS8{dst, n, k}.k_padded();
  for (int i = 0; i < n; ++i) pack_channel(src + i, ld_src, k, i, layout, k_padded, dst, scale, sum);
}

void softmax_quantize(std::int32_t* acc, std::size_t ldacc, int rows, int cols, const Dequant& d, float scale,
                      float* row, std::uint8_t* p, std::size_t ldp_bytes, RowQuant* quant) {
  for (int m = 0; m < rows; ++m, acc += ldacc, p += ldp_bytes) {
    for (int t = 0; t < cols; ++t)
      row[t] = static_cast<float>(acc[t] - d.row[m].zero_point * d.col_sum[t]) * d.col_scale[t];
    using E = numerics::Exp2S8;
    const float top = *std::max_element(row, row + cols);
    float factor = d.row[m].scale * scale * E::log2e;
    if (factor * std::fabs(top) > E::largest) factor = E::largest / std::fabs(top);
    const float offset = std::fma(-top, factor, E::log2_255);
    for (int t = 0; t < cols; ++t) {
      row[t] = exp2_s8(std::fma(row[t], factor, offset));
      p[t] = static_cast<std::uint8_t>(std::nearbyintf(row[t]));
    }
    quant[m] = {1.0f / row_sum(row, cols), 0};
  }
}

}  // namespace vitrail::reference
