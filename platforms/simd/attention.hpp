// Int8 attention on sixteen lanes: keys and values as s8 weights, scores as u8 (contracts: runtime/kernels.hpp).
#pragma once

#include "platforms/simd/rows.hpp"
#include "platforms/tile.hpp"

namespace vitrail::simd {

/// f(std::integral_constant<int, the layout's group>).
template <class F>
VITRAIL_INLINE void with_group(LayoutS8 layout, F f) {
  switch (layout.group) {
    case 4:
      return f(std::integral_constant<int, 4>{});
    case 8:
      return f(std::integral_constant<int, 8>{});
    default:
      return f(std::integral_constant<int, 16>{});
  }
}

/// Sixteen k of one column, from k on, in pieces of `group` bytes.
template <int group>
VITRAIL_INLINE void scatter_k(const std::int8_t* bytes, int columns, std::int8_t* dst) {
  unroll<16 / group>([&](auto i) __attribute__((always_inline)) {
    __builtin_memcpy(dst + i * group * columns, bytes + i * group, group);
  });
}

/// @tparam whole  k is a multiple of sixteen
template <class A, int group, bool whole>
VITRAIL_INLINE void pack_row_s8(const float* row, int k, int k_padded, int columns, std::int8_t* dst, float* scale,
                                std::int32_t* sum) {
  using V = F16<A>;
  const auto load = [=](int i) __attribute__((always_inline)) {
    return whole ? V::load(row + i) : V::load_first(row + i, k - i);
  };
  V high = V::all(numerics::smallest_absmax);
  for (int i = 0; i < k; i += 16) high = max(high, abs(load(i)));
  const float top = fold_max(high);
  const float inv = 127.0f / top;
  I16<A> total = I16<A>::all(0);
  int i = 0;
  for (; i < k; i += 16) {
    const I16<A> q = round_to_int(load(i) * V::all(inv));
    total = total + q;
    std::int8_t bytes[16];
    store_s8(q, bytes);
    scatter_k<group>(bytes, columns, dst + i * columns);
  }
  for (; i < k_padded; i += group) __builtin_memset(dst + i * columns, 0, group);
  *scale = top / 127.0f;
  *sum = fold_sum(total);
}

/// How four rows become s8.
struct FourScales {
  float inv[4], scale[4];
};

template <class A, bool whole>
VITRAIL_INLINE F16<A> load_of_row(const float* row, int i, int k) {
  return whole ? F16<A>::load(row + i) : F16<A>::load_first(row + i, k - i);
}

template <class A, bool whole>
VITRAIL_INLINE FourScales scales_of(const float* src, std::size_t ld_src, int k) {
  FourScales of;
  unroll<4>([&](auto m) __attribute__((always_inline)) {
    F16<A> high = F16<A>::all(numerics::smallest_absmax);
    for (int i = 0; i < k; i += 16) high = max(high, abs(load_of_row<A, whole>(src + m * ld_src, i, k)));
    const float top = fold_max(high);
    of.inv[m] = 127.0f / top;
    of.scale[m] = top / 127.0f;
  });
  return of;
}

/// Four rows, whose fours of k lie side by side.
template <class A, bool whole>
VITRAIL_INLINE void pack_four_rows_s8(const float* src, std::size_t ld_src, int k, const FourScales& by, int k_padded,
                                      int columns, std::int8_t* dst, float* scale, std::int32_t* sum) {
  using V = F16<A>;
  I16<A> total[4], q[4];
  unroll<4>([&](auto m) __attribute__((always_inline)) { total[m] = I16<A>::all(0); });
  int i = 0;
  for (; i < k; i += 16) {
    unroll<4>([&](auto m) __attribute__((always_inline)) {
      q[m] = round_to_int(load_of_row<A, whole>(src + m * ld_src, i, k) * V::all(by.inv[m]));
      total[m] = total[m] + q[m];
    });
    store_fours_of(q[0].r, q[1].r, q[2].r, q[3].r, 4 * columns, dst + i * columns);
  }
  for (; i < k_padded; i += 4) __builtin_memset(dst + i * columns, 0, 16);
  unroll<4>([&](auto m) __attribute__((always_inline)) {
    scale[m] = by.scale[m];
    sum[m] = fold_sum(total[m]);
  });
}

template <class A, int group, bool whole>
void pack_rows_s8(const float* src, std::size_t ld_src, int n, int k, int columns, std::int8_t* dst, float* scale,
                  std::int32_t* sum) {
  const int k_padded = PackedS8{dst, n, k}.k_padded(), n_padded = PackedS8{dst, n, k}.panels() * PackedS8::panel;
  const LayoutS8 layout{columns, group};
  int i = 0;
  if constexpr (group == 4) {
    FourScales next{};
    if (n >= 4) next = scales_of<A, whole>(src, ld_src, k);
    for (; i + 4 <= n; i += 4) {
      const FourScales now = next;
      if (i + 8 <= n) next = scales_of<A, whole>(src + (i + 4) * ld_src, ld_src, k);
      pack_four_rows_s8<A, whole>(src + i * ld_src, ld_src, k, now, k_padded, columns, dst + layout.at(i, 0, k_padded),
                                  scale + i, sum + i);
    }
  }
  for (; i < n; ++i)
    pack_row_s8<A, group, whole>(src + i * ld_src, k, k_padded, columns, dst + layout.at(i, 0, k_padded), scale + i,
                                 sum + i);
  for (; i < n_padded; ++i) {
    std::int8_t* column = dst + layout.at(i, 0, k_padded);
    for (int j = 0; j < k_padded; j += group) __builtin_memset(column + j * columns, 0, group);
    scale[i] = 0.0f;
    sum[i] = 0;
  }
}

template <class A>
void pack_rows_s8(const float* src, std::size_t ld_src, int n, int k, LayoutS8 layout, std::int8_t* dst, float* scale,
                  std::int32_t* sum) {
  const auto pack = [&](auto group) __attribute__((always_inline)) {
    return k % 16 == 0 ? pack_rows_s8<A, group, true>(src, ld_src, n, k, layout.columns, dst, scale, sum)
                       : pack_rows_s8<A, group, false>(src, ld_src, n, k, layout.columns, dst, scale, sum);
  };
  with_group(layout, pack);
}

/// Sixteen channels from `channel` on and layout.group k from k on, in `count` vectors whose lanes are four k of a
/// channel.
template <int count, class A>
VITRAIL_INLINE void store_fours(const I16<A> (&fours)[count], LayoutS8 layout, int channel, int k, int k_padded,
                                std::int8_t* dst) {
#ifdef __aarch64__
  if constexpr (I16<A>::Batch::size == 4) {
    // Named values, because some compilers' vst are macros, which a list in braces would take apart.
    const auto quad = [&](int c, const auto&... x) __attribute__((always_inline)) {
      auto* to = reinterpret_cast<std::int32_t*>(dst + layout.at(channel + c, k, k_padded));
      if constexpr (count == 1) {
        (x.batch.store_unaligned(to), ...);
      } else if constexpr (count == 2) {
        const int32x4x2_t two{{x.batch...}};
        vst2q_s32(to, two);
      } else {
        const int32x4x4_t four{{x.batch...}};
        vst4q_s32(to, four);
      }
    };
    [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
      quad(0, fours[i].r.low.low...);
      quad(4, fours[i].r.low.high...);
      quad(8, fours[i].r.high.low...);
      quad(12, fours[i].r.high.high...);
    }
    (std::make_integer_sequence<int, count>{});
    return;
  }
#endif
  if (count == 1 && layout.columns >= 16)
    return fours[0].store(reinterpret_cast<std::int32_t*>(dst + layout.at(channel, k, k_padded)));
  for (int i = 0; i < count; ++i) {
    std::int32_t lanes[16];
    fours[i].store(lanes);
    for (int c = 0; c < 16; ++c)
      __builtin_memcpy(dst + layout.at(channel + c, k + 4 * i, k_padded), lanes + c, sizeof lanes[c]);
  }
}

/// Sixteen channels at once: channels are lanes, so that four tokens make the four bytes of a lane.
/// @tparam whole  there are sixteen, else `count`, possibly none
template <class A, int group, bool whole>
VITRAIL_INLINE void pack_sixteen_columns_s8(const float* src, std::size_t ld_src, int k, int count, LayoutS8 layout,
                                            int channel, int k_padded, std::int8_t* dst, float* scale,
                                            std::int32_t* sum) {
  using V = F16<A>;
  static constexpr float none[16] = {};  // a token after the last one
  const auto load = [=](int i) __attribute__((always_inline)) {
    const float* row = i < k ? src + i * ld_src + channel : none;
    return whole ? V::load(row) : V::load_first(row, count);
  };
  V high = V::all(numerics::smallest_absmax);
  for (int i = 0; i < k; ++i) high = max(high, abs(load(i)));
  const V inv = V::all(127.0f) / high;
  I16<A> total = I16<A>::all(0);
  const auto quantized = [&](int i) __attribute__((always_inline)) {
    const I16<A> q = round_to_int(load(i) * inv);
    total = total + q;
    return q;
  };
  I16<A> fours[group / 4];
  int i = 0;
  for (; i < k; i += group) {
    unroll<group / 4>([&](auto j) __attribute__((always_inline)) {
      const int at = i + 4 * j;
      fours[j] = pack_bytes(quantized(at), quantized(at + 1), quantized(at + 2), quantized(at + 3));
    });
    store_fours(fours, layout, channel, i, k_padded, dst);
  }
  for (auto& four : fours) four = I16<A>::all(0);
  for (; i < k_padded; i += group) store_fours(fours, layout, channel, i, k_padded, dst);
  (high / V::all(127.0f)).store(scale + channel);
  for (int j = count > 0 ? count : 0; j < 16; ++j) scale[channel + j] = 0.0f;
  total.store(sum + channel);
}

template <class A, int group>
void pack_columns_s8(const float* src, std::size_t ld_src, int k, int n, LayoutS8 layout, std::int8_t* dst,
                     float* scale, std::int32_t* sum) {
  const int k_padded = PackedS8{dst, n, k}.k_padded(), n_padded = PackedS8{dst, n, k}.panels() * PackedS8::panel;
  int channel = 0;
  for (; channel + 16 <= n; channel += 16)
    pack_sixteen_columns_s8<A, group, true>(src, ld_src, k, 16, layout, channel, k_padded, dst, scale, sum);
  for (; channel < n_padded; channel += 16)
    pack_sixteen_columns_s8<A, group, false>(src, ld_src, k, n - channel, layout, channel, k_padded, dst, scale, sum);
}

template <class A>
void pack_columns_s8(const float* src, std::size_t ld_src, int k, int n, LayoutS8 layout, std::int8_t* dst,
                     float* scale, std::int32_t* sum) {
  with_group(
      layout, [&](auto group) __attribute__((always_inline)) {
        pack_columns_s8<A, group>(src, ld_src, k, n, layout, dst, scale, sum);
      });
}

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
  VITRAIL_INLINE float total() const { return fold_sum((sum[0] + sum[2]) + (sum[1] + sum[3])); }
};

/// Weighs one row and meanwhile scores another one, whose scores take the places of the row's own.
/// @param last  64 floats, zeros when this was not called before with the same number of columns
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
  if (whole < cols) {
    V w[4];
    unroll<4>([&](auto j) __attribute__((always_inline)) { w[j] = V::load(last + 16 * j); });
    weights.put(whole, w);
  }
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
  alignas(64) float last[64] = {};
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
