// exp and GELU on sixteen lanes; the formulas and constants are platforms/numerics.hpp's.
#pragma once

#include "platforms/numerics.hpp"
#include "platforms/registers.hpp"
#include "platforms/simd/vec16.hpp"
#include "runtime/kernels.hpp"

namespace vitrail::simd {

template <class A>
VITRAIL_INLINE F16<A> exp(F16<A> x) {
  using V = F16<A>;
  using E = numerics::Exp;
  x = min(max(x, V::all(E::lowest)), V::all(E::highest));
  const I16<A> exponent = round_to_int(x * V::all(E::log2e));
  const V n = to_float(exponent);
  V r = fma(n, V::all(-E::ln2_hi), x);
  r = fma(n, V::all(-E::ln2_lo), r);
  V q = V::all(E::c[3]);
  unroll<3>([&](auto i) __attribute__((always_inline)) { q = fma(q, r, V::all(E::c[2 - i])); });
  return scale_by_power(fma(q, r * r, r) + V::all(1.0f), exponent);
}

template <Activation activation, class A>
VITRAIL_INLINE F16<A> activate(F16<A> x) {
  using V = F16<A>;
  if constexpr (activation == Activation::gelu_erf) {
    using P = numerics::ErfSqrt2;
    const V s = fma(x * x, V::all(P::t_scale), V::all(-1.0f));
    V p = V::all(P::c[P::degree]);
    unroll<P::degree>([&](auto i) __attribute__((always_inline)) { p = fma(p, s, V::all(P::c[P::degree - 1 - i])); });
    const V erf = inside_or_sign(x, P::limit, x * p);
    const V half = V::all(0.5f) * x;
    return fma(half, erf, half);
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
