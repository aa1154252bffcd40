// The constants of the float functions, shared by the reference and the vector kernels so that both give the same bits.
#pragma once

namespace vitrail::numerics {

/// exp(x) for x clamped to [lowest, highest]: n = rne(x · log2e), r = fma(−n, ln2_hi, x), r = fma(−n, ln2_lo, r),
/// p = fma(fma(fma(fma(c3, r, c2), r, c1), r, c0), r², r) + 1 with the inner chain in r, times 2ⁿ (by adding n to the
/// exponent). Minimax fit of (expm1(r) − r)/r² on |r| ≤ ln2/2; largest relative error 1.1e-7 before rounding.
struct Exp {
  static constexpr float lowest = -87.0f, highest = 88.0f;
  static constexpr float log2e = 1.442695041e+00f, ln2_hi = 6.914062500e-01f, ln2_lo = 1.740930560e-03f;
  static constexpr float c[4] = {4.999923110e-01f, 1.666711420e-01f, 4.189015925e-02f, 8.312520571e-03f};
};

/// erf(x/√2) for GELU (Hendrycks & Gimpel 2016): x · P(s) for |x| < limit with s = fma(x², 2/limit², −1), else ±1.
/// P is a minimax fit of degree 12 in s, which keeps the coefficients small: absolute error 4e-7 in f32.
struct ErfSqrt2 {
  static constexpr float limit = 5.0f, t_scale = 2.0f / 25.0f;
  static constexpr int degree = 12;
  static constexpr float c[degree + 1] = {2.827275693e-01f, -1.405925602e-01f, 1.030410454e-01f, -8.088521659e-02f,
                                          6.288434565e-02f, -4.653730616e-02f, 3.280434757e-02f, -2.232868038e-02f,
                                          1.282102522e-02f, -5.371147301e-03f, 3.445594106e-03f, -3.226531437e-03f,
                                          1.217456418e-03f};
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
