// The f32 product, and the epilogues of both products, on sixteen lanes (contracts: runtime/kernels.hpp).
#pragma once

#include "platforms/registers.hpp"
#include "platforms/simd/math.hpp"
#include "platforms/tile.hpp"

namespace vitrail::simd {

/// M rows × one panel of sixteen columns: M accumulators stay in registers for the whole of k.
template <class A, int M>
VITRAIL_INLINE void gemm_f32_block(const float* a, std::size_t lda, const float* b, int k, float* c, std::size_t ldc) {
  using V = F16<A>;
  V acc[M];
  unroll<M>([&](auto m) __attribute__((always_inline)) { acc[m] = V::all(0.0f); });
  for (int i = 0; i < k; ++i) {
    const V column = V::load(b + static_cast<std::size_t>(i) * PackedF32::panel);
    unroll<M>([&](auto m) __attribute__((always_inline)) {
      acc[m] = fma(V::all(a[m * lda + i]), column, acc[m]);
      unroll<V::parts>([&](auto p) __attribute__((always_inline)) { VITRAIL_IN_REGISTER(acc[m].part[p].data); });
    });
  }
  unroll<M>([&](auto m) __attribute__((always_inline)) { acc[m].store(c + m * ldc); });
}

/// @tparam M  rows per block: as many as the registers hold accumulators for
template <class A, int M>
void gemm_f32(const float* a, std::size_t lda, int rows, const float* b, int k, int panels, float* c, std::size_t ldc) {
  for (int p = 0; p < panels; ++p, b += static_cast<std::size_t>(k) * PackedF32::panel, c += PackedF32::panel)
    in_row_blocks<M>(
        rows, [&](auto R, int m)
                  __attribute__((always_inline)) { gemm_f32_block<A, R>(a + m * lda, lda, b, k, c + m * ldc, ldc); });
}

template <class A, int M>
std::uint64_t peak_f32(int rounds) {
  using V = F16<A>;
  V acc[M], x = V::all(1.0f), y = V::all(0.5f);
  unroll<M>([&](auto m) __attribute__((always_inline)) { acc[m] = V::all(0.0f); });
  for (int i = 0; i < rounds; ++i)
    unroll<M>([&](auto m) __attribute__((always_inline)) {
      acc[m] = fma(x, y, acc[m]);
      unroll<V::parts>([&](auto p) __attribute__((always_inline)) { VITRAIL_IN_REGISTER(acc[m].part[p].data); });
    });
  return static_cast<std::uint64_t>(rounds) * M * 16;
}

/// `first(m, n, count)` gives y₀ of sixteen columns from n on; the rest of the epilogue is the same for both products.
template <class A, Activation activation, class First>
VITRAIL_INLINE void finish_tile(int rows, int cols, const Epilogue& e, float* dst, std::size_t ld_dst, First first) {
  using V = F16<A>;
  for (int m = 0; m < rows; ++m) {
    const auto columns = [&](int n, int count) __attribute__((always_inline)) {
      V y = activate<activation>(first(m, n, count));
      if (e.residual) y = V::load_first(e.residual + m * e.ld_residual + n, count) + y;
      y.store_first(dst + m * ld_dst + n, count);
    };
    // A count known at compile time: the vectors stay in registers.
    int n = 0;
    for (; n + 16 <= cols; n += 16) columns(n, 16);
    if (n < cols) columns(n, cols - n);
  }
}

template <class A, class First>
VITRAIL_INLINE void finish_any(int rows, int cols, const Epilogue& e, float* dst, std::size_t ld_dst, First first) {
  switch (e.activation) {
    case Activation::none:
      return finish_tile<A, Activation::none>(rows, cols, e, dst, ld_dst, first);
    case Activation::gelu_erf:
      return finish_tile<A, Activation::gelu_erf>(rows, cols, e, dst, ld_dst, first);
    case Activation::gelu_tanh:
      return finish_tile<A, Activation::gelu_tanh>(rows, cols, e, dst, ld_dst, first);
    case Activation::gelu_quick:
      return finish_tile<A, Activation::gelu_quick>(rows, cols, e, dst, ld_dst, first);
    case Activation::tanh:
      return finish_tile<A, Activation::tanh>(rows, cols, e, dst, ld_dst, first);
  }
}

template <class A>
VITRAIL_INLINE I16<A> load_first(const std::int32_t* src, int count) {
  if (count >= 16) return I16<A>::load(src);
  std::int32_t lanes[16];
  for (int i = 0; i < 16; ++i) lanes[i] = i < count ? src[i] : 0;
  return I16<A>::load(lanes);
}

template <class A>
void finish_s32(const std::int32_t* acc, std::size_t ldacc, int rows, int cols, const Dequant& d, const Epilogue& e,
                float* dst, std::size_t ld_dst) {
  using V = F16<A>;
  finish_any<A>(
      rows, cols, e, dst, ld_dst, [&](int m, int n, int count) __attribute__((always_inline)) {
        const I16<A> zero = I16<A>::all(d.row[m].zero_point) * load_first<A>(d.col_sum + n, count);
        const V scale = V::all(d.row[m].scale) * V::load_first(d.col_scale + n, count);
        const V bias = e.bias ? V::load_first(e.bias + n, count) : V::all(0.0f);
        return fma(to_float(I16<A>::load(acc + m * ldacc + n) - zero), scale, bias);
      });
}

template <class A>
void finish_f32(const float* acc, std::size_t ldacc, int rows, int cols, const Epilogue& e, float* dst,
                std::size_t ld_dst) {
  using V = F16<A>;
  finish_any<A>(
      rows, cols, e, dst, ld_dst, [&](int m, int n, int count) __attribute__((always_inline)) {
        return V::load(acc + m * ldacc + n) + (e.bias ? V::load_first(e.bias + n, count) : V::all(0.0f));
      });
}

}  // namespace vitrail::simd
