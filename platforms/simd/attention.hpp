// Softmax of int8 attention on sixteen lanes: sums become u8 weights (contract: runtime/kernels.hpp).
#pragma once

#include "platforms/simd/rows.hpp"
#include "platforms/tile.hpp"

namespace vitrail::simd {

/// Sixteen floats, then sixteen others: read from 16 − count on, the first `count` lanes are of the former.
struct Lanes {
  float values[32];
  constexpr Lanes(float inside, float outside) : values{} {
    for (int i = 0; i < 32; ++i) values[i] = i < 16 ? inside : outside;
  }
  const float* first(int count) const { return values + 16 - count; }
};

/// A row's scores and the largest of them.
template <class A>
struct Scores {
  using V = F16<A>;
  const std::int32_t* sums;
  const float *col_sum, *col_scale;
  V zero_point;  ///< negative
  float* row;
  V high[2] = {V::all(-__builtin_inff()), V::all(-__builtin_inff())};

  /// Sixteen of them from column t on. @param turn  0 or 1, known when this is compiled
  VITRAIL_INLINE void put(int t, auto turn) { store(t, turn, at(t)); }
  /// The same of the `count` last ones. Lanes past the end are no maximum.
  VITRAIL_INLINE void put_last(int t, int count) {
    static constexpr Lanes as_they_are(__builtin_inff(), -__builtin_inff());
    store(t, std::integral_constant<int, 0>{}, min(at(t), V::load(as_they_are.first(count))));
  }
  VITRAIL_INLINE float top() const { return fold_max(max(high[0], high[1])); }

 private:
  VITRAIL_INLINE V at(int t) const {
    return plus_exact_product(to_float(I16<A>::load(sums + t)), zero_point, V::load(col_sum + t)) *
           V::load(col_scale + t);
  }
  VITRAIL_INLINE void store(int t, auto turn, V x) {
    x.store(row + t);
    high[turn] = max(high[turn], x);
  }
};

/// A row's scores as weights and the sum of these.
template <class A>
struct AttentionWeights {
  using V = F16<A>;
  using E = numerics::Exp2S8;
  const float* row;
  V factor, offset;
  std::uint8_t* weights;
  V sum[4] = {V::all(0.0f), V::all(0.0f), V::all(0.0f), V::all(0.0f)};

  VITRAIL_INLINE Exp2S8<A> begin(int t) const { return Exp2S8<A>(fma(V::load(row + t), factor, offset)); }
  /// 64 of them from column t on.
  VITRAIL_INLINE void put(int t, const V (&w)[4]) {
    I16<A> steps[4];
    unroll<4>([&](auto j) __attribute__((always_inline)) {
      sum[j] = sum[j] + w[j];
      steps[j] = round_to_int(w[j]);
    });
    store_u8(steps, 0, weights + t);
  }
  /// The j-th sixteen of 64, from column t on.
  VITRAIL_INLINE void put_sixteen(int t, auto j, const V& w) {
    sum[j] = sum[j] + w;
    store_u8(round_to_int(w), 0, weights + t);
  }
  VITRAIL_INLINE float total() const { return fold_sum((sum[0] + sum[2]) + (sum[1] + sum[3])); }
};

/// Weighs one row and meanwhile scores another one, whose scores take the places of the row's own.
/// @param last  room for 64 floats
template <class A>
VITRAIL_INLINE void weigh_and_score(int cols, AttentionWeights<A>& weights, Scores<A>& scores, float* last) {
  using V = F16<A>;
  constexpr std::integral_constant<int, 0> even;
  const auto score = [&](int t) __attribute__((always_inline)) {
    unroll<4>([&](auto j)
                  __attribute__((always_inline)) { scores.put(t + 16 * j, std::integral_constant<int, j % 2>{}); });
  };
  const int whole = cols / 64 * 64;
  // The rest comes first, whose long way into `last` nothing then waits for.
  int t = whole;
  for (; t + 16 <= cols; t += 16) {
    weights.begin(t).value().store(last + t - whole);
    scores.put(t, even);
  }
  if (t < cols) {
    static constexpr Lanes counted(1.0f, 0.0f);
    (weights.begin(t).value() * V::load(counted.first(cols - t))).store(last + t - whole);
    scores.put_last(t, cols - t);
  }
  t = 0;
  if constexpr (I16<A>::Batch::size == 16) {
    // Where registers are wide and many, each step of three for another block, the last step first: an instruction
    // close behind the one that it waits for keeps others out of the CPU's schedulers.
    Exp2S8<A> begun[4];
    V w[4];
    const auto begin = [&](int t) __attribute__((always_inline)) {
      unroll<4>([&](auto j) __attribute__((always_inline)) {
        begun[j] = weights.begin(t + 16 * j);
        begun[j].keep_in_registers();
      });
      score(t);
    };
    const auto raise = [&]() __attribute__((always_inline)) {
      unroll<4>([&](auto j) __attribute__((always_inline)) {
        w[j] = begun[j].value();
        keep_in_registers(w[j]);
      });
    };
    if (whole >= 128) {
      begin(0);
      raise();
      begin(64);
      for (; t + 128 < whole; t += 64) {
        weights.put(t, w);
        raise();
        begin(t + 128);
      }
      weights.put(t, w);
      raise();
      weights.put(t + 64, w);
      t += 128;
    }
  }
  for (; t < whole; t += 64) {
    V w[4];
    unroll<4>([&](auto j) __attribute__((always_inline)) { w[j] = weights.begin(t + 16 * j).value(); });
    weights.put(t, w);
    score(t);
  }
  unroll<4>([&](auto j) __attribute__((always_inline)) {
    const int t = whole + 16 * j;
    if (t < cols) weights.put_sixteen(t, j, V::load(last + 16 * j));
  });
}

template <class A>
void softmax_quantize(std::int32_t* acc, std::size_t ldacc, int rows, int cols, const Dequant& d, float scale,
                      float* scratch, std::uint8_t* p, std::size_t ldp_bytes, RowQuant* quant) {
  using V = F16<A>;
  using I = I16<A>;
  const int pitch = round_up(cols, 16);
  float* const col_sum = scratch + 2 * pitch;
  for (int t = 0; t < cols; t += 16) {
    const I sum = I::load(d.col_sum + t);
    if (d.fits_f32()) {
      to_float(sum).store(col_sum + t);
      continue;
    }
    for (int m = 0; m < rows; ++m) {
      std::int32_t* sums = acc + m * ldacc + t;
      plus_product(I::load(sums), I::all(-d.row[m].zero_point), sum).store(sums);
    }
    V::all(0.0f).store(col_sum + t);
  }
  const auto scores_of = [&](int m) __attribute__((always_inline)) {
    return Scores<A>{acc + m * ldacc, col_sum, d.col_scale, V::all(static_cast<float>(-d.row[m].zero_point)),
                     scratch + m % 2 * pitch};
  };
  float top[2];
  for (int m = 0; m < 2 && m < rows; ++m) {
    Scores<A> scores = scores_of(m);
    in_turns(
        cols, [&](int t, int count, auto turn)
                  __attribute__((always_inline)) { count < 16 ? scores.put_last(t, count) : scores.put(t, turn); });
    top[m] = scores.top();
  }
  alignas(64) float last[64];
  for (int m = 0; m < rows; ++m) {
    using E = numerics::Exp2S8;
    const float high = top[m % 2], magnitude = __builtin_fabsf(high);
    float factor = d.row[m].scale * scale * E::log2e;
    if (factor * magnitude > E::largest) factor = E::largest / magnitude;
    AttentionWeights<A> weights{scratch + m % 2 * pitch, V::all(factor),
                                V::all(__builtin_fmaf(-high, factor, E::log2_255)), p + m * ldp_bytes};
    // The next row's maximum is being folded: the one after it. There is none after the last two: once more their own.
    Scores<A> scores = scores_of(m + 2 < rows ? m + 2 : m);
    weigh_and_score(cols, weights, scores, last);
    top[m % 2] = scores.top();
    quant[m] = {1.0f / weights.total(), 0};
  }
}

}  // namespace vitrail::simd
