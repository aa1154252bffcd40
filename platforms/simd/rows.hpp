// Row kernels on sixteen lanes: LayerNorm, row quantisation, softmax (contracts: runtime/kernels.hpp).
#pragma once

#include "platforms/simd/fold.hpp"
#include "platforms/simd/math.hpp"
#include "platforms/simd/narrow.hpp"

namespace vitrail::simd {

/// The contract's row sum: 64 accumulators as four vectors; `accumulate(acc, x)` returns the new accumulator; lanes
/// past the end arrive as `fill` and must contribute +0.
template <class A, class Accumulate>
VITRAIL_INLINE float row_sum(const float* x, int k, float fill, Accumulate accumulate) {
  using V = F16<A>;
  V acc[4] = {V::all(0.0f), V::all(0.0f), V::all(0.0f), V::all(0.0f)};
  int i = 0;
  for (; i + 64 <= k; i += 64)
    unroll<4>([&](auto j) __attribute__((always_inline)) { acc[j] = accumulate(acc[j], V::load(x + i + 16 * j)); });
  if (i < k)
    unroll<4>([&](auto j) __attribute__((always_inline)) {
      acc[j] = accumulate(acc[j], V::load_first(x + i + 16 * j, k - i - 16 * j, fill));
    });
  return fold_sum((acc[0] + acc[2]) + (acc[1] + acc[3]));
}

/// Calls f(i, count, turn) for each sixteen of k elements, turn being 0 and 1 in turns and known when this is compiled.
/// The rest comes first, so that the others find all registers free (F16::load_first).
template <class F>
VITRAIL_INLINE void in_turns(int k, F f) {
  constexpr std::integral_constant<int, 0> even;
  const int whole = k / 16 * 16;
  if (whole < k) f(whole, k - whole, even);
  int i = 0;
  for (; i + 32 <= whole; i += 32)
    unroll<2>([&](auto turn) __attribute__((always_inline)) { f(i + 16 * turn, 16, turn); });
  if (i < whole) f(i, 16, even);
}

/// What LayerNorm must know of a row before it changes it.
struct Moments {
  float mean, rstd;
};

template <class A>
VITRAIL_INLINE void moments_of(const float* x, std::size_t ldx, int rows, int k, float eps, Moments* of) {
  using V = F16<A>;
  const auto size = static_cast<float>(k);
  for (int m = 0; m < rows; ++m)
    of[m].mean = row_sum<A>(x + m * ldx, k, 0.0f, [](V acc, V v) { return acc + v; }) / size;
  for (int m = 0; m < rows; ++m) {
    const float mean = of[m].mean;
    const float var = row_sum<A>(x + m * ldx, k, mean,
                                 [=](V acc, V v) {
                                   const V d = v - V::all(mean);
                                   return fma(d, d, acc);
                                 }) /
                      size;
    of[m].rstd = 1.0f / __builtin_sqrtf(var + eps);
  }
}

/// Writes the row, and shows sixteen of its values at a time to `see` (in_turns), zeros beyond its end.
template <class A, class See>
VITRAIL_INLINE void normalize_row(const float* x, int k, Moments of_x, const float* gamma, const float* beta,
                                  float* dst, See see) {
  using V = F16<A>;
  in_turns(
      k, [&](int i, int count, auto turn) __attribute__((always_inline)) {
        const V d = V::load_first(x + i, count) - V::all(of_x.mean);
        const V y = fma(d * V::all(of_x.rstd), V::load_first(gamma + i, count), V::load_first(beta + i, count));
        y.store_first(dst + i, count);
        see(y, turn);
      });
}

/// What quantisation must know of a row: its extremes, zero among them.
struct Range {
  float low, high;
};

/// The smallest and the largest value seen, and zero; two of each, so that one need not wait for the other.
template <class A>
struct Extremes {
  using V = F16<A>;
  V low[2] = {V::all(0.0f), V::all(0.0f)}, high[2] = {V::all(0.0f), V::all(0.0f)};
  /// @param turn  0 or 1, known when this is compiled
  VITRAIL_INLINE void see(V v, auto turn) {
    low[turn] = min(low[turn], v);
    high[turn] = max(high[turn], v);
  }
  VITRAIL_INLINE Range range() const { return {fold_min(min(low[0], low[1])), fold_max(max(high[0], high[1]))}; }
};

/// How a row becomes u8, which takes some time to compute.
struct Quantization {
  float inv;  ///< 0 makes a row all zeros: it is too narrow, or its scale ∞ or NaN
  RowQuant quant;
};

template <class A>
VITRAIL_INLINE Quantization quantization_of(Range of_x) {
  const float range = of_x.high - of_x.low;
  if (!(range >= numerics::smallest_range)) return {0.0f, {range == range ? 1.0f : range, 0}};
  const float inv = 255.0f / range;
  if (!(inv > 0)) return {0.0f, {range / 255.0f, 0}};
  return {inv, {range / 255.0f, static_cast<std::int32_t>(__builtin_nearbyintf(-of_x.low * inv))}};
}

template <class A>
VITRAIL_INLINE void quantize_row(const float* x, int k, const Quantization& by, std::uint8_t* q, RowQuant* quant) {
  using V = F16<A>;
  const auto steps = [inv = V::all(by.inv)](V v) __attribute__((always_inline)) { return round_to_int(v * inv); };
  const std::int32_t zero_point = by.quant.zero_point;
  int i = 0;
  for (; i + 64 <= k; i += 64) {
    I16<A> of[4];
    unroll<4>([&](auto j) __attribute__((always_inline)) { of[j] = steps(V::load(x + i + 16 * j)); });
    store_u8(of, zero_point, q + i);
  }
  for (; i + 16 <= k; i += 16) store_u8(steps(V::load(x + i)), zero_point, q + i);
  if (i < k) {
    std::uint8_t bytes[16];
    store_u8(steps(V::load_first(x + i, k - i)), zero_point, bytes);
    for (int j = 0; i + j < k; ++j) q[i + j] = bytes[j];
  }
  *quant = by.quant;
}

/// Calls f(first, count) for a few rows at a time. LayerNorm's steps each wait for the last element of the step before;
/// taking each step for some rows, the CPU goes on with the next row meanwhile.
template <class F>
VITRAIL_INLINE void few_rows(int rows, F f) {
  constexpr int few = Kernels::rows_together;
  for (int m = 0; m < rows; m += few) f(m, rows - m < few ? rows - m : few);
}

template <class A>
void layer_norm(const float* x, std::size_t ldx, int rows, int k, const float* gamma, const float* beta, float eps,
                float* dst, std::size_t ld_dst) {
  few_rows(
      rows, [=](int first, int count) __attribute__((always_inline)) {
        Moments moments[Kernels::rows_together];
        moments_of<A>(x + first * ldx, ldx, count, k, eps, moments);
        for (int m = 0; m < count; ++m)
          normalize_row<A>(x + (first + m) * ldx, k, moments[m], gamma, beta, dst + (first + m) * ld_dst,
                           [](F16<A>, auto) {});
      });
}

template <class A>
VITRAIL_INLINE Range range_of(const float* x, int k) {
  Extremes<A> extremes;
  in_turns(
      k, [&](int i, int count, auto turn)
             __attribute__((always_inline)) { extremes.see(F16<A>::load_first(x + i, count), turn); });
  return extremes.range();
}

/// Rows that are found at values(m) once range(m) was asked for. What the next one needs is on its way while one is
/// written.
template <class A, class GetRange, class Values>
VITRAIL_INLINE void quantize_each(int rows, int k, GetRange range, Values values, std::uint8_t* q,
                                  std::size_t ldq_bytes, RowQuant* quant) {
  Quantization next = quantization_of<A>(range(0));
  for (int m = 0; m < rows; ++m) {
    const Quantization now = next;
    if (m + 1 < rows) next = quantization_of<A>(range(m + 1));
    quantize_row<A>(values(m), k, now, q + m * ldq_bytes, quant + m);
  }
}

template <class A>
void quantize_rows(const float* x, std::size_t ldx, int rows, int k, std::uint8_t* q, std::size_t ldq_bytes,
                   RowQuant* quant) {
  const auto row = [=](int m) __attribute__((always_inline)) { return x + m * ldx; };
  quantize_each<A>(
      rows, k, [=](int m) __attribute__((always_inline)) { return range_of<A>(row(m), k); }, row, q, ldq_bytes, quant);
}

template <class A, Activation activation>
VITRAIL_INLINE void activate_quantize(const float* x, std::size_t ldx, int rows, int k, float* scratch, std::uint8_t* q,
                                      std::size_t ldq_bytes, RowQuant* quant) {
  const auto activated = [=](int m) __attribute__((always_inline)) { return scratch + m % 2 * k; };
  const auto activate_row = [=](int m) __attribute__((always_inline)) {
    float* y = activated(m);
    Extremes<A> extremes;
    in_turns(
        k, [&](int i, int count, auto turn) __attribute__((always_inline)) {
          const F16<A> v = activate<activation, true>(F16<A>::load_first(x + m * ldx + i, count));
          v.store_first(y + i, count);
          extremes.see(v, turn);
        });
    return extremes.range();
  };
  quantize_each<A>(rows, k, activate_row, activated, q, ldq_bytes, quant);
}

template <class A>
void activate_quantize(const float* x, std::size_t ldx, int rows, int k, Activation activation, float* scratch,
                       std::uint8_t* q, std::size_t ldq_bytes, RowQuant* quant) {
  switch (activation) {
    case Activation::none:
      return quantize_rows<A>(x, ldx, rows, k, q, ldq_bytes, quant);
    case Activation::gelu_erf:
      return activate_quantize<A, Activation::gelu_erf>(x, ldx, rows, k, scratch, q, ldq_bytes, quant);
    case Activation::gelu_tanh:
      return activate_quantize<A, Activation::gelu_tanh>(x, ldx, rows, k, scratch, q, ldq_bytes, quant);
    case Activation::gelu_quick:
      return activate_quantize<A, Activation::gelu_quick>(x, ldx, rows, k, scratch, q, ldq_bytes, quant);
    case Activation::tanh:
      return activate_quantize<A, Activation::tanh>(x, ldx, rows, k, scratch, q, ldq_bytes, quant);
  }
}

template <class A>
void layer_norm_quantize(const float* x, std::size_t ldx, int rows, int k, const float* gamma, const float* beta,
                         float eps, float* scratch, std::uint8_t* q, std::size_t ldq_bytes, RowQuant* quant) {
  few_rows(
      rows, [=](int first, int count) __attribute__((always_inline)) {
        Moments moments[Kernels::rows_together];
        moments_of<A>(x + first * ldx, ldx, count, k, eps, moments);
        Quantization by[Kernels::rows_together];
        for (int m = 0; m < count; ++m) {
          Extremes<A> extremes;
          normalize_row<A>(
              x + (first + m) * ldx, k, moments[m], gamma, beta,
              scratch + m * k, [&](F16<A> y, auto turn) __attribute__((always_inline)) { extremes.see(y, turn); });
          by[m] = quantization_of<A>(extremes.range());
        }
        for (int m = 0; m < count; ++m)
          quantize_row<A>(scratch + m * k, k, by[m], q + (first + m) * ldq_bytes, quant + first + m);
      });
}

template <class A>
void softmax(float* x, std::size_t ldx, int rows, int cols, float scale) {
  using V = F16<A>;
  for (int m = 0; m < rows; ++m) {
    float* row = x + m * ldx;
    // Counts known at compile time, but for the rest: the vectors stay in registers.
    const int whole = cols / 16 * 16, rest = cols - whole;
    V high = V::all(row[0]);
    for (int i = 0; i < whole; i += 16) high = max(high, V::load(row + i));
    if (rest > 0) high = max(high, V::load_first(row + whole, rest, row[0]));
    const float top = fold_max(high);
    const auto power = [=](int i, int count) __attribute__((always_inline)) {
      exp<false>((V::load_first(row + i, count) - V::all(top)) * V::all(scale)).store_first(row + i, count);
    };
    for (int i = 0; i < whole; i += 16) power(i, 16);
    if (rest > 0) power(whole, rest);
    const float inv = 1.0f / row_sum<A>(row, cols, 0.0f, [](V acc, V v) { return acc + v; });
    for (int i = 0; i < whole; i += 16) (V::load(row + i) * V::all(inv)).store(row + i);
    if (rest > 0) (V::load_first(row + whole, rest) * V::all(inv)).store_first(row + whole, rest);
  }
}

template <class A>
void swiglu(const float* x, std::size_t ldx, int rows, int k, float* dst, std::size_t ld_dst) {
  using V = F16<A>;
  for (int m = 0; m < rows; ++m, x += ldx, dst += ld_dst) {
    const auto gated = [=](int i, int count) __attribute__((always_inline)) {
      const V gate = V::load_first(x + i, count), value = V::load_first(x + k + i, count);
      (gate / (V::all(1.0f) + exp(V::all(-1.0f) * gate)) * value).store_first(dst + i, count);
    };
    int i = 0;
    for (; i + 16 <= k; i += 16) gated(i, 16);
    if (i < k) gated(i, k - i);
  }
}

template <class A>
void rotate(float* x, std::size_t ldx, int rows, int heads, int half, const float* cos, const float* sin) {
  using V = F16<A>;
  for (int m = 0; m < rows; ++m, x += ldx, cos += half, sin += half)
    for (int h = 0; h < heads; ++h) {
      float *low = x + 2 * h * half, *high = low + half;
      const auto turn = [=](int j, int count) __attribute__((always_inline)) {
        const V a = V::load_first(low + j, count), b = V::load_first(high + j, count);
        const V c = V::load_first(cos + j, count), s = V::load_first(sin + j, count);
        fma(V::all(-1.0f) * b, s, a * c).store_first(low + j, count);
        fma(a, s, b * c).store_first(high + j, count);
      };
      int j = 0;
      for (; j + 16 <= half; j += 16) turn(j, 16);
      if (j < half) turn(j, half - j);
    }
}

}  // namespace vitrail::simd
