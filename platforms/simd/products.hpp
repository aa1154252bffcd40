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

/// Rows whose sums an epilogue finishes together: what belongs to the columns is loaded once for them. An activation
/// needs the registers itself.
constexpr int rows_finished(Activation activation) { return activation == Activation::none ? 3 : 1; }

/// The epilogue of `R` rows from m on. `sums` knows y₀; the rest is the same for both products.
template <class A, Activation activation, bool has_residual, int R, class Sums>
VITRAIL_INLINE void finish_rows(int m, int cols, const Sums& sums, const float* residual, std::size_t ld_residual,
                                float* dst, std::size_t ld_dst) {
  typename Sums::Row row[R];
  unroll<R>([&](auto r) __attribute__((always_inline)) { row[r] = sums.row(m + r); });
  const auto columns = [&](int n, int count) __attribute__((always_inline)) {
    const auto column = sums.columns(n, count);
    F16<A> y[R];
    unroll<R>([&](auto r) __attribute__((always_inline)) {
      y[r] = activate<activation, false>(sums.first(row[r], column, n));
      if constexpr (has_residual) y[r] = F16<A>::load_first(residual + r * ld_residual + n, count) + y[r];
      y[r].store_first(dst + r * ld_dst + n, count);
    });
  };
  // A count known at compile time keeps the vectors in registers.
  int n = 0;
  for (; n + 32 <= cols; n += 32) {
    columns(n, 16);
    columns(n + 16, 16);
  }
  for (; n < cols; n += 16) columns(n, cols - n);
}

template <class A, Activation activation, class Sums>
VITRAIL_INLINE void finish_tile(int rows, int cols, const Epilogue& e, float* dst, std::size_t ld_dst,
                                const Sums& sums) {
  const auto all = [&](auto has_residual) __attribute__((always_inline)) {
    const auto block = [&](auto R, int m) __attribute__((always_inline)) {
      const float* residual = has_residual ? e.residual + m * e.ld_residual : nullptr;
      finish_rows<A, activation, has_residual, R>(m, cols, sums, residual, e.ld_residual, dst + m * ld_dst, ld_dst);
    };
    constexpr int together = rows_finished(activation);
    int m = 0;
    for (; m + together <= rows; m += together) block(std::integral_constant<int, together>{}, m);
    for (; together > 1 && m < rows; ++m) block(std::integral_constant<int, 1>{}, m);
  };
  e.residual ? all(std::true_type{}) : all(std::false_type{});
}

template <class A, class Sums>
VITRAIL_INLINE void finish_any(int rows, int cols, const Epilogue& e, float* dst, std::size_t ld_dst,
                               const Sums& sums) {
  switch (e.activation) {
    case Activation::none:
      return finish_tile<A, Activation::none>(rows, cols, e, dst, ld_dst, sums);
    case Activation::gelu_erf:
      return finish_tile<A, Activation::gelu_erf>(rows, cols, e, dst, ld_dst, sums);
    case Activation::gelu_tanh:
      return finish_tile<A, Activation::gelu_tanh>(rows, cols, e, dst, ld_dst, sums);
    case Activation::gelu_quick:
      return finish_tile<A, Activation::gelu_quick>(rows, cols, e, dst, ld_dst, sums);
    case Activation::tanh:
      return finish_tile<A, Activation::tanh>(rows, cols, e, dst, ld_dst, sums);
  }
}

/// [Kernels::max_tile_cols]
inline const float* bias_of(const Epilogue& e) {
  alignas(64) static constexpr float zeros[Kernels::max_tile_cols] = {};
  return e.bias ? e.bias : zeros;
}

/// y₀ of exact sums. Copies of pointers, which no store to dst can change.
/// @tparam f32  the sums are exact in it, which saves the product of integers
template <class A, bool f32>
struct SumsS32 {
  using V = F16<A>;
  using I = I16<A>;
  struct Row {
    const std::int32_t* acc;
    float scale;
    std::conditional_t<f32, float, std::int32_t> zero_point;
  };
  struct Column {
    V scale;
    std::conditional_t<f32, V, I> sum;
    V bias;
  };
  const std::int32_t* acc;
  std::size_t ldacc;
  const RowQuant* quant;
  const float* col_scale;
  const std::conditional_t<f32, float, std::int32_t>* col_sum;
  const float* bias;

  VITRAIL_INLINE Row row(int m) const {
    return {acc + m * ldacc, quant[m].scale, static_cast<decltype(Row::zero_point)>(-quant[m].zero_point)};
  }
  VITRAIL_INLINE Column columns(int n, int count) const {
    Column c;
    c.scale = V::load_first(col_scale + n, count);
    c.sum = decltype(c.sum)::load_first(col_sum + n, count);
    c.bias = V::load_first(bias + n, count);
    return c;
  }
  VITRAIL_INLINE V first(const Row& r, const Column& c, int n) const {
    const I sum = I::load(r.acc + n);
    V x;
    if constexpr (f32)
      x = plus_exact_product(to_float(sum), V::all(r.zero_point), c.sum);
    else
      x = to_float(plus_product(sum, I::all(r.zero_point), c.sum));
    return fma(x, V::all(r.scale) * c.scale, c.bias);
  }
};

template <class A>
void finish_s32(const std::int32_t* acc, std::size_t ldacc, int rows, int cols, const Dequant& d, const Epilogue& e,
                float* dst, std::size_t ld_dst) {
  const float* bias = bias_of(e);
  if (e.activation == Activation::none && d.fits_f32()) {
    alignas(64) float col_sum[Kernels::max_tile_cols];
    for (int n = 0; n < cols; n += 16) to_float(I16<A>::load_first(d.col_sum + n, cols - n)).store(col_sum + n);
    finish_tile<A, Activation::none>(rows, cols, e, dst, ld_dst,
                                     SumsS32<A, true>{acc, ldacc, d.row, d.col_scale, col_sum, bias});
  } else {
    finish_any<A>(rows, cols, e, dst, ld_dst, SumsS32<A, false>{acc, ldacc, d.row, d.col_scale, d.col_sum, bias});
  }
}

/// y₀ of sums in f32.
template <class A>
struct SumsF32 {
  using V = F16<A>;
  using Row = const float*;
  const float* acc;
  std::size_t ldacc;
  const float* bias;

  VITRAIL_INLINE Row row(int m) const { return acc + m * ldacc; }
  VITRAIL_INLINE V columns(int n, int count) const { return V::load_first(bias + n, count); }
  VITRAIL_INLINE V first(Row r, V column, int n) const { return V::load(r + n) + column; }
};

template <class A>
void finish_f32(const float* acc, std::size_t ldacc, int rows, int cols, const Epilogue& e, float* dst,
                std::size_t ld_dst) {
  finish_any<A>(rows, cols, e, dst, ld_dst, SumsF32<A>{acc, ldacc, bias_of(e)});
}

}  // namespace vitrail::simd
