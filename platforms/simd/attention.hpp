// Int8 attention on sixteen lanes: keys and values as s8 weights, scores as u8 (contracts: runtime/kernels.hpp).
#pragma once

#include "platforms/simd/math.hpp"

namespace vitrail::simd {

template <class A>
void pack_rows_s8(const float* src, std::size_t ld_src, int n, int k, std::int8_t* dst, float* scale,
                  std::int32_t* sum) {
  using V = F16<A>;
  constexpr int panel = PackedS8::panel;
  const int k_padded = PackedS8{dst, n, k}.k_padded(), n_padded = PackedS8{dst, n, k}.panels() * panel;
  for (int key = 0; key < n_padded; ++key) {
    std::int8_t* column = dst + static_cast<std::size_t>(key / panel) * panel * k_padded + key % panel * 4;
    if (key >= n) {
      for (int i = 0; i < k_padded; i += 4) __builtin_memset(column + i * panel, 0, 4);
      scale[key] = 0.0f;
      sum[key] = 0;
      continue;
    }
    const float* row = src + key * ld_src;
    V high = V::all(numerics::smallest_absmax);
    for (int i = 0; i < k; i += 16) high = max(high, abs(V::load_first(row + i, k - i)));
    const float top = fold_max(high);
    const V inv = V::all(127.0f / top);
    I16<A> total = I16<A>::all(0);
    for (int i = 0; i < k_padded; i += 16) {
      const I16<A> q = round_to_int(V::load_first(row + i, k - i) * inv);
      total = total + q;
      std::int8_t bytes[16];
      store_s8(q, bytes);
      for (int j = 0; j < 16; j += 4) __builtin_memcpy(column + (i + j) * panel, bytes + j, 4);
    }
    scale[key] = top / 127.0f;
    sum[key] = fold_sum(total);
  }
}

/// Sixteen channels at once: channels are lanes, so that four tokens make the four bytes of a lane.
template <class A>
void pack_columns_s8(const float* src, std::size_t ld_src, int k, int n, std::int8_t* dst, float* scale,
                     std::int32_t* sum) {
  using V = F16<A>;
  constexpr int panel = PackedS8::panel;
  const int k_padded = PackedS8{dst, n, k}.k_padded(), n_padded = PackedS8{dst, n, k}.panels() * panel;
  for (int channel = 0; channel < n_padded; channel += 16) {
    const int count = n - channel;
    std::int8_t* column = dst + static_cast<std::size_t>(channel / panel) * panel * k_padded + channel % panel * 4;
    V high = V::all(numerics::smallest_absmax);
    for (int i = 0; i < k; ++i) high = max(high, abs(V::load_first(src + i * ld_src + channel, count)));
    const V inv = V::all(127.0f) / high;
    I16<A> total = I16<A>::all(0);
    for (int i = 0; i < k_padded; i += 4) {
      I16<A> q[4];
      for (int j = 0; j < 4; ++j) {
        q[j] = i + j < k ? round_to_int(V::load_first(src + (i + j) * ld_src + channel, count) * inv) : I16<A>::all(0);
        total = total + q[j];
      }
      pack_bytes(q[0], q[1], q[2], q[3]).store(reinterpret_cast<std::int32_t*>(column + i * panel));
    }
    (high / V::all(127.0f)).store(scale + channel);
    for (int j = count > 0 ? count : 0; j < 16; ++j) scale[channel + j] = 0.0f;
    total.store(sum + channel);
  }
}

template <class A>
void softmax_quantize(const std::int32_t* acc, std::size_t ldacc, int rows, int cols, const Dequant& d, float scale,
                      float* row, std::uint8_t* p, std::size_t ldp_bytes, RowQuant* quant) {
  using V = F16<A>;
  for (int m = 0; m < rows; ++m, acc += ldacc, p += ldp_bytes) {
    const I16<A> zero_point = I16<A>::all(d.row[m].zero_point);
    const auto score = [&](int t) __attribute__((always_inline)) {
      const I16<A> sum = I16<A>::load(acc + t) - zero_point * I16<A>::load(d.col_sum + t);
      return to_float(sum) * V::load(d.col_scale + t);
    };
    V high = V::all(-__builtin_inff());
    int t = 0;
    for (; t + 16 <= cols; t += 16) {
      const V x = score(t);
      x.store(row + t);
      high = max(high, x);
    }
    if (t < cols) {
      score(t).store(row + t);
      high = max(high, V::load_first(row + t, cols - t, row[t]));
    }
    const V top = V::all(fold_max(high)), factor = V::all(d.row[m].scale * scale), full = V::all(255.0f);
    const auto weigh = [&](V x, int at) __attribute__((always_inline)) {
      const V weight = exp((x - top) * factor) * full;
      store_u8(round_to_int(weight), p + at);
      return weight;
    };
    V sum[4] = {V::all(0.0f), V::all(0.0f), V::all(0.0f), V::all(0.0f)};
    for (t = 0; t + 64 <= cols; t += 64)
      for (int j = 0; j < 4; ++j) sum[j] = sum[j] + weigh(V::load(row + t + 16 * j), t + 16 * j);
    for (int j = 0; t < cols; t += 16, ++j) {
      weigh(V::load_first(row + t, cols - t, row[t]), t).store(row + t);
      sum[j] = sum[j] + V::load_first(row + t, cols - t);
    }
    quant[m] = {1.0f / fold_sum((sum[0] + sum[2]) + (sum[1] + sum[3])), 0};
  }
}

}  // namespace vitrail::simd
