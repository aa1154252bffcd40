// The epilogue of a linear layer's tile, for products that finish their sums themselves (Kernels::linear_at_once).
#pragma once

#include "platforms/registers.hpp"
#include "platforms/simd/products.hpp"

namespace vitrail::x86 {

/// @tparam S  as Vnni's: Arch, V, load and multiply_add_words
template <class S>
class FinishVnni {
  using V = typename S::V;
  static constexpr int lanes = sizeof(V) / 4;

  // −zero_point · col_sum as two products of 16 bits: exact while k ≤ largest_k.
  static constexpr int largest_k = 32767 * 128 / 127;
  static std::int32_t row_factors(std::int32_t zero_point) {
    return (-zero_point & 0xffff) | -zero_point * 128 * 65536;
  }
  static std::int32_t column_factors(std::int32_t sum) { return (sum & 127) | (sum >> 7) * 65536; }

 public:
  /// What finish_s32 is given, from one row and column on.
  struct From {
    const std::int32_t *row_factors, *column_factors;
    const float *row_scale, *col_scale, *bias, *residual;
    std::size_t ld_residual;
    float* dst;
    std::size_t ld_dst;

    From at(int m, int n) const {
      return {row_factors + m, column_factors + n,
              row_scale + m,   col_scale + n,
              bias + n,        residual ? residual + m * ld_residual + n : nullptr,
              ld_residual,     dst + m * ld_dst + n,
              ld_dst};
    }
  };

  static bool serves(const GemmU8S8Tile& t, const Epilogue& e) {
    return t.cols % PackedS8::panel == 0 && t.k <= largest_k && e.activation == Activation::none;
  }

  /// Calls f(std::bool_constant<whether there is a residual>, From) for a tile that it serves.
  template <class F>
  VITRAIL_INLINE static void prepare(const GemmU8S8Tile& t, const Dequant& d, const Epilogue& e, float* dst,
                                     std::size_t ld_dst, F f) {
    std::int32_t rows[Kernels::max_tile_rows];
    float row_scale[Kernels::max_tile_rows];
    alignas(64) std::int32_t columns[Kernels::max_tile_cols];
    for (int m = 0; m < t.rows; ++m) {
      rows[m] = row_factors(d.row[m].zero_point);
      row_scale[m] = d.row[m].scale;
    }
    for (int n = 0; n < t.cols; ++n) columns[n] = column_factors(d.col_sum[n]);
    const From from{rows, columns, row_scale, d.col_scale, simd::bias_of(e), e.residual, e.ld_residual, dst, ld_dst};
    e.residual ? f(std::true_type{}, from) : f(std::false_type{}, from);
  }

  /// M rows × N registers. sum(m, j) is the j-th register of row m.
  template <int M, int N, bool has_residual, class Sum>
  VITRAIL_INLINE static void finish(const From& f, Sum sum) {
    using A = typename S::Arch;
    using F = xsimd::batch<float, A>;
    unroll<N>([&](auto j) __attribute__((always_inline)) {
      constexpr int n = j * lanes;
      const V factors = S::load(f.column_factors + n);
      const F col_scale = F::load_unaligned(f.col_scale + n), bias = F::load_unaligned(f.bias + n);
      unroll<M>([&](auto m) __attribute__((always_inline)) {
        V x = sum(m, j);
        S::multiply_add_words(x, f.row_factors + m, factors);
        const F scale = F(f.row_scale[m]) * col_scale;
        F y = simd::fma_batch<A>(xsimd::to_float(xsimd::batch<std::int32_t, A>(x)), scale, bias);
        if constexpr (has_residual) y = F::load_unaligned(f.residual + m * f.ld_residual + n) + y;
        y.store_unaligned(f.dst + m * f.ld_dst + n);
      });
    });
  }
};

}  // namespace vitrail::x86
