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
      keep_in_registers(acc[m]);
    });
  }
  unroll<M>([&](auto m) __attribute__((always_inline)) { acc[m].store(c + m * ldc); });
}

/// @tparam M  rows per block: as many as the registers hold accumulators for
template <class A, int M>
void gemm_f32(const float* a, std::size_t lda, int rows, const float* b, int k, int panels, float* c, std::size_t ldc) {
  for (int p = 0; p < panels; ++p, b += static_cast<std::size_t>(k) * PackedF32::panel, c += PackedF32::panel)
    in_blocks<M>(
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
      keep_in_registers(acc[m]);
    });
  return static_cast<std::uint64_t>(rounds) * M * 16;
}

/// `of_row(m)` gives what gives y₀ of sixteen columns of that row from n on, and is told whether there is a bias for
/// sure; the rest of the epilogue is the same for both products.
template <class A, Activation activation, bool s8, class OfRow>
VITRAIL_INLINE void finish_tile(int rows, int cols, Epilogue e, float* dst, std::size_t ld_dst, OfRow of_row) {
  using V = F16<A>;
  const auto tile = [=](auto bias_alone) __attribute__((always_inline)) {
    for (int m = 0; m < rows; ++m) {
      const float* residual = e.residual ? e.residual + m * e.ld_residual : nullptr;
      float* to = dst + m * ld_dst;
      const auto first = of_row(m);
      const auto columns = [&](int n, int count) __attribute__((always_inline)) {
        V y = activate<activation, s8>(first(n, count, bias_alone));
        if constexpr (!bias_alone)
          if (residual) y = V::load_first(residual + n, count) + y;
        y.store_first(to + n, count);
      };
      // Counts known at compile time keep the vectors in registers; two at a time share the counting.
      int n = 0;
      for (; n + 32 <= cols; n += 32) {
        columns(n, 16);
        columns(n + 16, 16);
      }
      for (; n < cols; n += 16) columns(n, cols - n);
    }
  };
  // Most tiles of an int8 network, and then nothing is to be asked on the way.
  if (s8 && e.bias && !e.residual) return tile(std::bool_constant<s8>{});
  tile(std::false_type{});
}

template <class A, bool s8, class OfRow>
VITRAIL_INLINE void finish_common(int rows, int cols, const Epilogue& e, float* dst, std::size_t ld_dst, OfRow of_row) {
  e.activation == Activation::none ? finish_tile<A, Activation::none, s8>(rows, cols, e, dst, ld_dst, of_row)
                                   : finish_tile<A, Activation::gelu_erf, s8>(rows, cols, e, dst, ld_dst, of_row);
}

template <class A, bool s8, class OfRow>
VITRAIL_INLINE void finish_any(int rows, int cols, const Epilogue& e, float* dst, std::size_t ld_dst, OfRow of_row) {
  switch (e.activation) {
    case Activation::none:
    case Activation::gelu_erf:
      return finish_common<A, s8>(rows, cols, e, dst, ld_dst, of_row);
    case Activation::gelu_tanh:
      return finish_tile<A, Activation::gelu_tanh, s8>(rows, cols, e, dst, ld_dst, of_row);
    case Activation::gelu_quick:
      return finish_tile<A, Activation::gelu_quick, s8>(rows, cols, e, dst, ld_dst, of_row);
    case Activation::tanh:
      return finish_tile<A, Activation::tanh, s8>(rows, cols, e, dst, ld_dst, of_row);
  }
}

/// @tparam f32  the sums are exact in it, which saves the product of integers; for the common activations
template <class A, bool f32>
VITRAIL_INLINE void finish_s32_as(const std::int32_t* acc, std::size_t ldacc, int rows, int cols, const Dequant& d,
                                  const Epilogue& e, float* dst, std::size_t ld_dst) {
  using V = F16<A>;
  using I = I16<A>;
  // Copies, which no store to dst can change.
  const float *col_scale = d.col_scale, *bias = e.bias;
  const std::int32_t* col_sum = d.col_sum;
  alignas(64) float f32_sums[f32 ? Kernels::max_tile_cols : 1];
  for (int n = 0; f32 && n < cols; n += 16) to_float(I::load_first(col_sum + n, cols - n)).store(f32_sums + n);
  const float* f32_sum = f32_sums;
  const auto of_row = [=](int m) __attribute__((always_inline)) {
    const std::int32_t* row = acc + m * ldacc;
    const RowQuant quant = d.row[m];
    return [=](int n, int count, auto has_bias) __attribute__((always_inline)) {
      const I sum = I::load(row + n);
      V x;
      if constexpr (f32)
        x = plus_exact_product(to_float(sum), V::all(static_cast<float>(-quant.zero_point)), V::load(f32_sum + n));
      else
        x = to_float(plus_product(sum, I::all(-quant.zero_point), I::load_first(col_sum + n, count)));
      return fma(x, V::all(quant.scale) * V::load_first(col_scale + n, count),
                 has_bias || bias ? V::load_first(bias + n, count) : V::all(0.0f));
    };
  };
  f32 ? finish_common<A, true>(rows, cols, e, dst, ld_dst, of_row)
      : finish_any<A, true>(rows, cols, e, dst, ld_dst, of_row);
}

template <class A>
void finish_s32(const std::int32_t* acc, std::size_t ldacc, int rows, int cols, const Dequant& d, const Epilogue& e,
                float* dst, std::size_t ld_dst) {
  const bool common = e.activation == Activation::none || e.activation == Activation::gelu_erf;
  if (common && d.fits_f32()) return finish_s32_as<A, true>(acc, ldacc, rows, cols, d, e, dst, ld_dst);
  finish_s32_as<A, false>(acc, ldacc, rows, cols, d, e, dst, ld_dst);
}

template <class A>
void finish_f32(const float* acc, std::size_t ldacc, int rows, int cols, const Epilogue& e, float* dst,
                std::size_t ld_dst) {
  using V = F16<A>;
  const float* bias = e.bias;
  finish_any<A, false>(
      rows, cols, e, dst, ld_dst, [&](int m) __attribute__((always_inline)) {
        const float* row = acc + m * ldacc;
        return [=](int n, int count, auto has_bias) __attribute__((always_inline)) {
          return V::load(row + n) + (has_bias || bias ? V::load_first(bias + n, count) : V::all(0.0f));
        };
      });
}

}  // namespace vitrail::simd
