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

/// numerics::Exp2S8 of x ≤ 8 in two steps, so that others may be taken in between.
template <class A>
struct Exp2S8 {
  using E = numerics::Exp2S8;
  F16<A> rest;
  I16<A> exponent;

  Exp2S8() = default;
  VITRAIL_INLINE explicit Exp2S8(F16<A> x) {
    x = max(x, F16<A>::all(E::lowest));
    exponent = round_to_int(x);
    rest = x - to_float(exponent);
  }
  VITRAIL_INLINE F16<A> value() const {
    return lanes<F16<A>>(
        [](auto r, auto n) __attribute__((always_inline)) {
          const auto q = fma_batch<A>(fma_batch<A>(splat<A>(E::c[2]), r, splat<A>(E::c[1])), r, splat<A>(E::c[0]));
          return scale_by_power<A>(fma_batch<A>(q, r, splat<A>(1.0f)), n);
        },
        rest, exponent);
  }
  VITRAIL_INLINE void keep_in_registers() {
    simd::keep_in_registers(rest);
    simd::keep_in_registers(exponent);
  }
};

/// Powers of the argument s of erf's polynomial, and chain i of its coefficients (numerics::ErfSqrt2).
template <class A>
struct Powers {
  using B = xsimd::batch<float, A>;
  using P = numerics::ErfSqrt2;
  B s, s2, s3, s4;
  VITRAIL_INLINE explicit Powers(B x)
      : s(xsimd::min(fma_batch<A>(x * x, splat<A>(P::t_scale), splat<A>(-1.0f)), splat<A>(1.0f))),
        s2(s * s),
        s3(s2 * s),
        s4(s2 * s2) {}
  VITRAIL_INLINE B chain(int i) const {
    const float* c = P::c + 4 * i;
    return fma_batch<A>(s3, splat<A>(c[3]),
                        fma_batch<A>(s2, splat<A>(c[2]), fma_batch<A>(s, splat<A>(c[1]), splat<A>(c[0]))));
  }
};

template <class A>
VITRAIL_INLINE xsimd::batch<float, A> clamp(xsimd::batch<float, A> x, float low, float high) {
  return xsimd::min(xsimd::max(x, splat<A>(low)), splat<A>(high));
}

template <class A>
VITRAIL_INLINE F16<A> gelu_erf(F16<A> all) {
  using P = numerics::ErfSqrt2;
  return lanes<F16<A>>(
      [](auto x) __attribute__((always_inline)) {
        const Powers<A> p(x);
        const auto high = fma_batch<A>(fma_batch<A>(splat<A>(P::c[12]), p.s4, p.chain(2)), p.s4, p.chain(1));
        const auto erf = clamp<A>(x * fma_batch<A>(high, p.s4, p.chain(0)), -1.0f, 1.0f);
        const auto half = splat<A>(0.5f) * x;
        return fma_batch<A>(half, erf, half);
      },
      all);
}

template <class A>
VITRAIL_INLINE xsimd::batch<float, A> gelu_s8(xsimd::batch<float, A> x) {
  using G = numerics::GeluS8;
  const auto u = xsimd::min(xsimd::abs(x), splat<A>(G::limit));
  auto p = splat<A>(G::c[5]);
  unroll<5>([&](auto i) __attribute__((always_inline)) { p = fma_batch<A>(p, u, splat<A>(G::c[4 - i])); });
  return fma_batch<A>(u, p, xsimd::max(x, splat<A>(0.0f)));
}

template <class A>
VITRAIL_INLINE F16<A> gelu_s8(F16<A> all) {
  return lanes<F16<A>>(
      [](auto x) __attribute__((always_inline)) { return gelu_s8<A>(x); }, all);
}

/// @tparam s8  of what will be quantised: erf GELU is numerics::GeluS8
template <Activation activation, bool s8, class A>
VITRAIL_INLINE F16<A> activate(F16<A> x) {
  using V = F16<A>;
  if constexpr (activation == Activation::gelu_erf) {
    return s8 ? gelu_s8(x) : gelu_erf(x);
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
