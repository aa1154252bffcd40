// The constants of the float functions, shared by the reference and the vector kernels so that both give the same bits.
#pragma once

#if defined(__FAST_MATH__) || __FINITE_MATH_ONLY__
#error "sums must have the order that the code gives them, and NaN must be seen: compile with -fno-fast-math"
#endif

namespace vitrail::numerics {

/// exp(x) for x clamped to [lowest, highest]: n = rne(x · log2e), r = fma(−n, ln2_hi, x), r = fma(−n, ln2_lo, r),
/// q = fma(r², fma(c3, r, c2), fma(c1, r, c0)), then (fma(q, r², r) + 1) · 2ⁿ, all normal numbers. Minimax fit of
/// (expm1(r) − r)/r² on |r| ≤ ln2/2; largest relative error 1.1e-7 before rounding.
struct Exp {
  static constexpr float lowest = -87.0f, highest = 88.0f;
  static constexpr float log2e = 1.442695041e+00f, ln2_hi = 6.914062500e-01f, ln2_lo = 1.740930560e-03f;
  static constexpr float c[4] = {4.999923110e-01f, 1.666711420e-01f, 4.189015925e-02f, 8.312520571e-03f};
};

/// erf(x/√2) for GELU (Hendrycks & Gimpel 2016): x · P(s) clamped to ±1, s = min(fma(x², 2/limit², −1), 1).
/// P = fma(fma(fma(c[12], s⁴, q2), s⁴, q1), s⁴, q0) with s² = s·s, s³ = s²·s, s⁴ = s²·s² and
/// q_i = fma(s³, c[4i + 3], fma(s², c[4i + 2], fma(s, c[4i + 1], c[4i]))): three short chains, whose addends are
/// constants only once. A minimax fit in s, which keeps the coefficients small: absolute error 6e-7 in f32.
struct ErfSqrt2 {
  static constexpr float limit = 5.0f, t_scale = 2.0f / (limit * limit);
  static constexpr float c[13] = {2.827275693e-01f, -1.405925602e-01f, 1.030410454e-01f, -8.088521659e-02f,
                                  6.288434565e-02f, -4.653730616e-02f, 3.280434757e-02f, -2.232868224e-02f,
                                  1.282102149e-02f, -5.371146835e-03f, 3.445598297e-03f, -3.226531669e-03f,
                                  1.217454905e-03f};
};

/// The erf GELU of an int8 product: fma(u, P(u), max(x, 0)) with u = min(|x|, limit) and P by Horner's rule, a minimax
/// fit to what is missing from max(x, 0) on either side of zero. What it is for is rounded to u8 next, in steps of a
/// hundredth and more: absolute error 7e-4.
struct GeluS8 {
  static constexpr float limit = 3.37f;
  static constexpr float c[6] = {-5.101615191e-01f, 4.443818927e-01f, -5.616438761e-02f,
                                 -5.567960814e-02f, 2.120106854e-02f, -2.193070715e-03f};
};

/// 2^x for attention weights, which are rounded to u8 next: x ≥ lowest, n = rne(x), r = x − n,
/// fma(fma(fma(c3, r, c2), r, c1), r, 1) · 2ⁿ. Minimax fit on |r| ≤ ½; relative error 1e-4.
/// Of a row's scores, x is what one fma makes: log2 255 for the largest one as long as that one's product is no larger
/// than `largest` (by 2.5e-4: a rounding that no longer shows in u8).
struct Exp2S8 {
  static constexpr float lowest = -126.0f, log2e = 1.442695041e+00f, log2_255 = 7.994353294e+00f, largest = 8192.0f;
  static constexpr float c[3] = {6.932829022e-01f, 2.422109693e-01f, 5.500893295e-02f};
};

/// tanh GELU as x · sigmoid(2u) = x / (1 + exp(z)), z = x · fma(x², cubic, linear) = −2·√(2/π)·(x + 0.044715·x³).
struct GeluTanh {
  static constexpr float linear = -1.5957691216f, cubic = -0.0713548163f;
};

/// CLIP's x · sigmoid(1.702x) = x / (1 + exp(z)), z = −1.702x.
struct GeluQuick {
  static constexpr float linear = -1.702f;
};

// tanh (transformers' pooler) is 1 − 2 / (1 + exp(2x)).

/// Rows whose values span less than this quantise to zeros: 255/range must stay finite.
inline constexpr float smallest_range = 1e-30f;

/// Channels of keys and values are scaled as if their largest magnitude were at least this: 127/absmax must stay
/// finite.
inline constexpr float smallest_absmax = 1e-30f;

}  // namespace vitrail::numerics
