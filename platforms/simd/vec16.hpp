// The fixed 16-lane vector that every float kernel is written on: two AVX2 registers, one AVX-512, four NEON. Also the
// one place that knows how xsimd's versions (8.1 … 14) differ. Everything is a template on the xsimd architecture, so
// that no function compiled for AVX-512 can be linked into AVX2 code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <xsimd/xsimd.hpp>

#include "platforms/registers.hpp"

namespace vitrail::simd {

#define VITRAIL_INLINE [[gnu::always_inline]] inline

/// N registers, as halves of halves: no array, which GCC would keep in memory, and halving is also how sums fold.
template <class B, int N>
struct Registers {
  using Half = Registers<B, N / 2>;
  Half low, high;
};
template <class B>
struct Registers<B, 1> {
  B batch;
};

/// f(batch of x, batch of y …) for every register.
template <class R, class F, class... X>
VITRAIL_INLINE R each(F f, const X&... x) {
  if constexpr (requires { R::low; })
    return {each<typename R::Half>(f, x.low...), each<typename R::Half>(f, x.high...)};
  else
    return {f(x.batch...)};
}

template <class R, class T>
VITRAIL_INLINE R load_registers(const T* src) {
  if constexpr (requires { R::low; }) {
    using Half = typename R::Half;
    return {load_registers<Half>(src), load_registers<Half>(src + sizeof(Half) / sizeof(T))};
  } else {
    return {decltype(R::batch)::load_unaligned(src)};
  }
}

template <class R, class T>
VITRAIL_INLINE void store_registers(const R& x, T* dst) {
  if constexpr (requires { R::low; }) {
    store_registers(x.low, dst);
    store_registers(x.high, dst + sizeof(x.low) / sizeof(T));
  } else {
    x.batch.store_unaligned(dst);
  }
}

/// Sixteen floats.
template <class Arch>
struct F16 {
  using Batch = xsimd::batch<float, Arch>;
  using R = Registers<Batch, 16 / static_cast<int>(Batch::size)>;
  R r;

  VITRAIL_INLINE static F16 all(float x) {
    return {each<R>(
        [&](const auto&) __attribute__((always_inline)) { return Batch(x); }, R{})};
  }
  VITRAIL_INLINE static F16 load(const float* src) { return {load_registers<R>(src)}; }
  /// Elements [0, count) of src, the rest `fill`; count may be ≤ 0 or ≥ 16. Loops give it a constant count: a call that
  /// might be made in a loop empties all of x86's vector registers.
  VITRAIL_INLINE static F16 load_first(const float* src, int count, float fill = 0.0f) {
    return count >= 16 ? load(src) : load_last(src, count, fill);
  }
  VITRAIL_INLINE void store(float* dst) const { store_registers(r, dst); }
  VITRAIL_INLINE void store_first(float* dst, int count) const { count >= 16 ? store(dst) : store_last(dst, count); }

 private:
  // What happens at the end of a row is kept out of the loops before it.
  [[gnu::noinline]] static F16 load_last(const float* src, int count, float fill) {
    float lanes[16];
    for (int i = 0; i < 16; ++i) lanes[i] = i < count ? src[i] : fill;
    return load(lanes);
  }
  [[gnu::noinline]] void store_last(float* dst, int count) const {
    float lanes[16];
    store(lanes);
    for (int i = 0; i < count; ++i) dst[i] = lanes[i];
  }
};

/// Sixteen 32-bit integers.
template <class Arch>
struct I16 {
  using Batch = xsimd::batch<std::int32_t, Arch>;
  using R = Registers<Batch, 16 / static_cast<int>(Batch::size)>;
  R r;

  VITRAIL_INLINE static I16 all(std::int32_t x) {
    return {each<R>(
        [&](const auto&) __attribute__((always_inline)) { return Batch(x); }, R{})};
  }
  VITRAIL_INLINE static I16 load(const std::int32_t* src) { return {load_registers<R>(src)}; }
  /// Elements [0, count) of src, the rest 0.
  VITRAIL_INLINE static I16 load_first(const std::int32_t* src, int count) {
    return count >= 16 ? load(src) : load_last(src, count);
  }
  VITRAIL_INLINE void store(std::int32_t* dst) const { store_registers(r, dst); }

 private:
  [[gnu::noinline]] static I16 load_last(const std::int32_t* src, int count) {
    std::int32_t lanes[16];
    for (int i = 0; i < 16; ++i) lanes[i] = i < count ? src[i] : 0;
    return load(lanes);
  }
};

/// IEEE's quotient. xsimd before 9 multiplies with a reciprocal estimate on NEON.
template <class A>
VITRAIL_INLINE xsimd::batch<float, A> divide(xsimd::batch<float, A> x, xsimd::batch<float, A> y) {
#ifdef __aarch64__
  return vdivq_f32(x, y);
#else
  return x / y;
#endif
}

#if defined(__SSE4_2__) && !defined(__FMA__)
/// fma of the two low lanes on a CPU that has none: the product is exact in double; the sum is rounded to odd (Boldo
/// and Melquiond 2008), which keeps enough of what was lost for the last rounding, to float, to be that of the exact
/// value.
[[gnu::noinline]] static __m128 fma_to_odd(__m128 x, __m128 y, __m128 z) {
  const __m128d product = _mm_mul_pd(_mm_cvtps_pd(x), _mm_cvtps_pd(y)), addend = _mm_cvtps_pd(z);
  const __m128d sum = _mm_add_pd(product, addend);
  const __m128d part = _mm_sub_pd(sum, product);
  const __m128d lost = _mm_add_pd(_mm_sub_pd(product, _mm_sub_pd(sum, part)), _mm_sub_pd(addend, part));
  // Beside an infinite sum, `lost` is NaN.
  const __m128d finite = _mm_cmple_pd(_mm_andnot_pd(_mm_set1_pd(-0.0), sum), _mm_set1_pd(__DBL_MAX__));
  const __m128i inexact = _mm_castpd_si128(_mm_and_pd(finite, _mm_cmpneq_pd(lost, _mm_setzero_pd())));
  // −1 where the exact value is nearer to zero than the sum: signs differ.
  const __m128i signs = _mm_srai_epi32(_mm_castpd_si128(_mm_xor_pd(sum, lost)), 31);
  const __m128i smaller = _mm_and_si128(_mm_shuffle_epi32(signs, 0b11'11'01'01), inexact);
  const __m128i towards_zero = _mm_add_epi64(_mm_castpd_si128(sum), smaller);
  return _mm_cvtpd_ps(_mm_castsi128_pd(_mm_or_si128(towards_zero, _mm_srli_epi64(inexact, 63))));
}

/// fma of four lanes. A sum in double, rounded once more to float, is that of the exact value unless it lies in the
/// middle between two floats (its last 29 bits are 1 0 … 0) or the float is no normal number. Not inline: some hundreds
/// of them would take a minute to compile.
[[gnu::noinline]] static __m128 fma_four(__m128 x, __m128 y, __m128 z) {
  const __m128 x_high = _mm_movehl_ps(x, x), y_high = _mm_movehl_ps(y, y), z_high = _mm_movehl_ps(z, z);
  const __m128d low = _mm_add_pd(_mm_mul_pd(_mm_cvtps_pd(x), _mm_cvtps_pd(y)), _mm_cvtps_pd(z));
  const __m128d high = _mm_add_pd(_mm_mul_pd(_mm_cvtps_pd(x_high), _mm_cvtps_pd(y_high)), _mm_cvtps_pd(z_high));
  const __m128 l = _mm_castpd_ps(low), h = _mm_castpd_ps(high);
  const __m128i last = _mm_castps_si128(_mm_shuffle_ps(l, h, 0b10'00'10'00));
  const __m128i first = _mm_castps_si128(_mm_shuffle_ps(l, h, 0b11'01'11'01));
  constexpr int smallest_normal = (1023 - 126) << 20;  // as the first half of a double
  const __m128i middle = _mm_cmpeq_epi32(_mm_slli_epi32(last, 3), _mm_set1_epi32(INT32_MIN));
  const __m128i tiny =
      _mm_cmplt_epi32(_mm_and_si128(first, _mm_set1_epi32(INT32_MAX)), _mm_set1_epi32(smallest_normal));
  if (__builtin_expect(_mm_movemask_epi8(_mm_or_si128(middle, tiny)) != 0, 0))
    return _mm_movelh_ps(fma_to_odd(x, y, z), fma_to_odd(x_high, y_high, z_high));
  return _mm_movelh_ps(_mm_cvtpd_ps(low), _mm_cvtpd_ps(high));
}
#endif

/// One rounding, always. xsimd 8's AVX-512 has no fma of its own and would multiply, round and add.
template <class A>
VITRAIL_INLINE xsimd::batch<float, A> fma_batch(xsimd::batch<float, A> x, xsimd::batch<float, A> y,
                                                xsimd::batch<float, A> z) {
#ifdef __AVX512F__
  if constexpr (std::is_base_of_v<xsimd::avx512f, A>) return _mm512_fmadd_ps(x, y, z);
#endif
#ifdef __aarch64__
  return vfmaq_f32(z, x, y);
#endif
#if defined(__SSE4_2__) && !defined(__FMA__)
  return fma_four(x, y, z);
#else
  return xsimd::fma(x, y, z);
#endif
}

/// x + y · z. GCC finds NEON's one instruction for it only when it is told.
template <class A>
VITRAIL_INLINE xsimd::batch<std::int32_t, A> plus_product_batch(xsimd::batch<std::int32_t, A> x,
                                                                xsimd::batch<std::int32_t, A> y,
                                                                xsimd::batch<std::int32_t, A> z) {
#ifdef __aarch64__
  return vmlaq_s32(x, y, z);
#else
  return x + y * z;
#endif
}

/// x · 2ⁿ by adding n to the exponent: for x and results that are normal numbers. xsimd 8 casts through a function
/// pointer on NEON.
template <class A>
VITRAIL_INLINE xsimd::batch<float, A> scale_by_power(xsimd::batch<float, A> x, xsimd::batch<std::int32_t, A> n) {
#ifdef __aarch64__
  return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(x), vshlq_n_s32(n, 23)));
#elif XSIMD_VERSION_MAJOR >= 9
  return xsimd::bitwise_cast<float>(xsimd::bitwise_cast<std::int32_t>(x) + (n << 23));
#else
  return xsimd::bitwise_cast<xsimd::batch<float, A>>(xsimd::bitwise_cast<xsimd::batch<std::int32_t, A>>(x) + (n << 23));
#endif
}

/// f(batch of x, batch of y …), lane by lane.
template <class T, class F, class... X>
VITRAIL_INLINE T lanes(F f, const X&... x) {
  return {each<typename T::R>(f, x.r...)};
}

#define VITRAIL_UNARY(RESULT, NAME, T, EXPR)                            \
  template <class A>                                                    \
  VITRAIL_INLINE RESULT<A> NAME(T<A> a) {                               \
    return lanes<RESULT<A>>(                                            \
        [](auto x) __attribute__((always_inline)) { return EXPR; }, a); \
  }
#define VITRAIL_BINARY(T, NAME, EXPR)                                              \
  template <class A>                                                               \
  VITRAIL_INLINE T<A> NAME(T<A> a, T<A> b) {                                       \
    return lanes<T<A>>(                                                            \
        [](auto x, auto y) __attribute__((always_inline)) { return EXPR; }, a, b); \
  }
VITRAIL_BINARY(F16, operator+, x + y)
VITRAIL_BINARY(F16, operator-, x - y)
VITRAIL_BINARY(F16, operator*, x* y)
VITRAIL_BINARY(F16, operator/, divide<A>(x, y))
VITRAIL_BINARY(F16, min, xsimd::min(x, y))
VITRAIL_BINARY(F16, max, xsimd::max(x, y))
VITRAIL_BINARY(I16, operator+, x + y)
VITRAIL_UNARY(F16, abs, F16, xsimd::abs(x))
VITRAIL_UNARY(F16, to_float, I16, xsimd::to_float(x))
/// Rounds to nearest even; the caller keeps values inside s32.
VITRAIL_UNARY(I16, round_to_int, F16, xsimd::nearbyint_as_int(x))
#undef VITRAIL_UNARY
#undef VITRAIL_BINARY

template <class A>
VITRAIL_INLINE F16<A> fma(F16<A> a, F16<A> b, F16<A> c) {
  return lanes<F16<A>>(
      [](auto x, auto y, auto z) __attribute__((always_inline)) { return fma_batch<A>(x, y, z); }, a, b, c);
}

/// a + b · c where that is exact: without fma, it takes one anyway to round once.
template <class A>
VITRAIL_INLINE F16<A> plus_exact_product(F16<A> a, F16<A> b, F16<A> c) {
#if defined(__SSE4_2__) && !defined(__FMA__)
  return a + b * c;
#else
  return fma(b, c, a);
#endif
}

/// a + b · c
template <class A>
VITRAIL_INLINE I16<A> plus_product(I16<A> a, I16<A> b, I16<A> c) {
  return lanes<I16<A>>(
      [](auto x, auto y, auto z) __attribute__((always_inline)) { return plus_product_batch<A>(x, y, z); }, a, b, c);
}

/// Arithmetic shift.
template <int bits, class A>
VITRAIL_INLINE I16<A> shift_right(I16<A> a) {
  return lanes<I16<A>>(
      [](auto x) __attribute__((always_inline)) { return x >> bits; }, a);
}

/// Four s8 values per lane as its bytes, the first one lowest.
template <class A>
VITRAIL_INLINE I16<A> pack_bytes(I16<A> a, I16<A> b, I16<A> c, I16<A> d) {
  return lanes<I16<A>>(
      [](auto w, auto x, auto y, auto z)
          __attribute__((always_inline)) { return ((w & 255) | ((x & 255) << 8)) | (((y & 255) << 16) | (z << 24)); },
      a, b, c, d);
}

/// Pins sixteen values to their registers (VITRAIL_IN_REGISTER).
template <class T>
VITRAIL_INLINE void keep_in_registers(T& a) {
  a = lanes<T>(
      [](auto x) __attribute__((always_inline)) {
        VITRAIL_IN_REGISTER(x.data);
        return x;
      },
      a);
}

}  // namespace vitrail::simd
