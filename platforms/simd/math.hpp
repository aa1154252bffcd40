// exp and GELU on sixteen lanes; the formulas and constants are platforms/numerics.hpp's.
#pragma once

#include "platforms/numerics.hpp"
#include "platforms/registers.hpp"
#include "platforms/simd/vec16.hpp"
#include "runtime/kernels.hpp"

namespace vitrail::simd {

/// A constant in every lane of one register of floats.
template <class A>
VITRAIL_INLINE xsimd::batch<float, A> splat(float x) {
  return xsimd::batch<float, A>(x);
}

/// @tparam positive  whether x may be; without, one instruction less
template <bool positive = true, class A>
VITRAIL_INLINE F16<A> exp(F16<A> all) {
  using E = numerics::Exp;
  return lanes<F16<A>>(
      [](auto x) __attribute__((always_inline)) {
        const auto c = [](int i) __attribute__((always_inline)) { return splat<A>(E::c[i]); };
        x = xsimd::max(x, splat<A>(E::lowest));
        if constexpr (positive) x = xsimd::min(x, splat<A>(E::highest));
        const auto exponent = xsimd::nearbyint_as_int(x * splat<A>(E::log2e));
        const auto n = xsimd::to_float(exponent);
        auto r = fma_batch<A>(n, splat<A>(-E::ln2_hi), x);
        r = fma_batch<A>(n, splat<A>(-E::ln2_lo), r);
        const auto r2 = r * r;
        const auto q = fma_batch<A>(r2, fma_batch<A>(c(3), r, c(2)), fma_batch<A>(c(1), r, c(0)));
        return scale_by_power<A>(fma_batch<A>(q, r2, r) + splat<A>(1.0f), exponent);
      },
      all);
}

template <class A>
VITRAIL_INLINE F16<A> gelu_erf(F16<A> all) {
  using P = numerics::ErfSqrt2;
  return lanes<F16<A>>(
      [](auto x) __attribute__((always_inline)) {
        const auto s = xsimd::min(fma_batch<A>(x * x, splat<A>(P::t_scale), splat<A>(-1.0f)), splat<A>(1.0f));
        const auto s2 = s * s, s3 = s2 * s, s4 = s2 * s2;
        const auto q = [&](int i) __attribute__((always_inline)) {
          const auto c = [&](int j) __attribute__((always_inline)) { return splat<A>(P::c[4 * i + j]); };
          return fma_batch<A>(s3, c(3), fma_batch<A>(s2, c(2), fma_batch<A>(s, c(1), c(0))));
        };
        const auto high = fma_batch<A>(fma_batch<A>(splat<A>(P::c[12]), s4, q(2)), s4, q(1));
        const auto erf = xsimd::min(xsimd::max(x * fma_batch<A>(high, s4, q(0)), splat<A>(-1.0f)), splat<A>(1.0f));
        const auto half = splat<A>(0.5f) * x;
        return fma_batch<A>(half, erf, half);
      },
      all);
}

template <Activation activation, class A>
VITRAIL_INLINE F16<A> activate(F16<A> x) {
  using V = F16<A>;
  if constexpr (activation == Activation::gelu_erf) {
    return gelu_erf(x);
  } else if constexpr (activation == Activation::gelu_tanh) {
    using G = numerics::GeluTanh;
    return x / (V::all(1.0f) + exp(x * fma(x * x, V::all(G::cubic), V::all(G::linear))));
  } else if constexpr (activation == Activation::gelu_quick) {
    return x / (V::all(1.0f) + exp(x * V::all(numerics::GeluQuick::linear)));
  } else if constexpr (activation == Activation::tanh) {
    return V::all(1.0f) - V::all(2.0f) / (V::all(1.0f) + exp(x + x));
  } else {
    return x;
  }
}

}  // namespace vitrail::simd
