// Matrices become s8 weights: a layer's own, and int8 attention's keys and values (contracts: runtime/kernels.hpp).
#pragma once

#include "platforms/numerics.hpp"
#include "platforms/simd/fold.hpp"
#include "platforms/simd/narrow.hpp"
#include "runtime/kernels.hpp"

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

/// Sixteen of a row's k elements, from i on.
/// @tparam whole  k is a multiple of sixteen
template <class A, bool whole>
VITRAIL_INLINE F16<A> load_of_row(const float* row, int i, int k) {
  return whole ? F16<A>::load(row + i) : F16<A>::load_first(row + i, k - i);
}

template <class A, int group, bool whole>
VITRAIL_INLINE void pack_row_s8(const float* row, int k, int k_padded, int columns, std::int8_t* dst, float* scale,
                                std::int32_t* sum) {
  using V = F16<A>;
  const auto load = [=](int i) __attribute__((always_inline)) { return load_of_row<A, whole>(row, i, k); };
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

/// One head's rows are some cache lines each and far apart, written by another thread perhaps: no CPU foresees them.
constexpr int rows_ahead = 12;

/// How four rows become s8.
struct FourScales {
  float inv[4], scale[4];
};

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
      for (int m = i + rows_ahead; m < i + rows_ahead + 4 && m < n; ++m)
        for (int j = 0; j < k; j += 16) __builtin_prefetch(src + m * ld_src + j);
      if (i + 8 <= n) next = scales_of<A, whole>(src + (i + 4) * ld_src, ld_src, k);
      pack_four_rows_s8<A, whole>(src + i * ld_src, ld_src, k, now, k_padded, columns, dst + layout.at(i, 0, k_padded),
                                  scale + i, sum + i);
    }
  }
  for (; i < n; ++i)
    pack_row_s8<A, group, whole>(src + i * ld_src, k, k_padded, columns, dst + layout.at(i, 0, k_padded), scale + i,
                                 sum + i);
  const auto padding = static_cast<std::size_t>(n_padded - n);
  __builtin_memset(scale + n, 0, padding * sizeof *scale);
  __builtin_memset(sum + n, 0, padding * sizeof *sum);
  for (int rest; i < n_padded; i += rest) {  // the columns of a strip lie side by side
    rest = columns - i % columns;
    std::int8_t* column = dst + layout.at(i, 0, k_padded);
    for (int j = 0; j < k_padded; j += group)
      __builtin_memset(column + j * columns, 0, static_cast<std::size_t>(rest) * group);
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
  for (int i = 0; i < k; ++i) {
    if (whole && i + rows_ahead < k) __builtin_prefetch(src + (i + rows_ahead) * ld_src + channel);
    high = max(high, abs(load(i)));
  }
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

}  // namespace vitrail::simd
