// The fixed 16-lane vector that every float kernel is written on: two AVX2 registers, one AVX-512, four NEON. Also the
// one place that knows how xsimd's versions (8.1 … 14) differ, and what xsimd leaves to plain intrinsics. Everything is
// a template on the xsimd architecture, so that no function compiled for AVX-512 can be linked into AVX2 code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <xsimd/xsimd.hpp>

namespace vitrail::simd {

#define VITRAIL_INLINE [[gnu::always_inline]] inline

template <class Arch>
struct I16;

/// Room in an array of `parts` registers. GCC (12) gives arrays of two to four NEON registers a mode of their own, as
/// for ld4, and then moves every value through memory; an array of five it takes apart. The fifth is never touched.
constexpr int room(int parts) { return parts == 4 ? 5 : parts; }

/// Sixteen floats.
template <class Arch>
struct F16 {
  using Batch = xsimd::batch<float, Arch>;
  static constexpr int parts = 16 / static_cast<int>(Batch::size);
  Batch part[room(parts)];

  VITRAIL_INLINE static F16 all(float x) {
    F16 r;
    for (int i = 0; i < parts; ++i) r.part[i] = Batch(x);
    return r;
  }
  VITRAIL_INLINE static F16 load(const float* src) {
    F16 r;
    for (int i = 0; i < parts; ++i) r.part[i] = Batch::load_unaligned(src + i * static_cast<int>(Batch::size));
    return r;
  }
  /// Elements [0, count) of src, the rest `fill`; count may be ≤ 0 or ≥ 16.
  VITRAIL_INLINE static F16 load_first(const float* src, int count, float fill = 0.0f) {
    if (count >= 16) return load(src);
    float lanes[16];
    for (int i = 0; i < 16; ++i) lanes[i] = i < count ? src[i] : fill;
    return load(lanes);
  }
  VITRAIL_INLINE void store(float* dst) const {
    for (int i = 0; i < parts; ++i) part[i].store_unaligned(dst + i * static_cast<int>(Batch::size));
  }
  VITRAIL_INLINE void store_first(float* dst, int count) const {
    if (count >= 16) return store(dst);
    float lanes[16];
    store(lanes);
    for (int i = 0; i < count; ++i) dst[i] = lanes[i];
  }
};

/// Sixteen 32-bit integers.
template <class Arch>
struct I16 {
  using Batch = xsimd::batch<std::int32_t, Arch>;
  static constexpr int parts = 16 / static_cast<int>(Batch::size);
  Batch part[room(parts)];

  VITRAIL_INLINE static I16 all(std::int32_t x) {
    I16 r;
    for (int i = 0; i < parts; ++i) r.part[i] = Batch(x);
    return r;
  }
  VITRAIL_INLINE static I16 load(const std::int32_t* src) {
    I16 r;
    for (int i = 0; i < parts; ++i) r.part[i] = Batch::load_unaligned(src + i * static_cast<int>(Batch::size));
    return r;
  }
  VITRAIL_INLINE void store(std::int32_t* dst) const {
    for (int i = 0; i < parts; ++i) part[i].store_unaligned(dst + i * static_cast<int>(Batch::size));
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

// Lane-wise operations: one loop over the parts each.
#define VITRAIL_LANEWISE(T, NAME, ARGS, EXPR)               \
  template <class A>                                        \
  VITRAIL_INLINE T<A> NAME ARGS {                           \
    T<A> r;                                                 \
    for (int i = 0; i < T<A>::parts; ++i) r.part[i] = EXPR; \
    return r;                                               \
  }
VITRAIL_LANEWISE(F16, operator+, (F16<A> x, F16<A> y), x.part[i] + y.part[i])
VITRAIL_LANEWISE(F16, operator-, (F16<A> x, F16<A> y), x.part[i] - y.part[i])
VITRAIL_LANEWISE(F16, operator*, (F16<A> x, F16<A> y), x.part[i] * y.part[i])
VITRAIL_LANEWISE(F16, operator/, (F16<A> x, F16<A> y), divide<A>(x.part[i], y.part[i]))
VITRAIL_LANEWISE(F16, min, (F16<A> x, F16<A> y), xsimd::min(x.part[i], y.part[i]))
VITRAIL_LANEWISE(F16, max, (F16<A> x, F16<A> y), xsimd::max(x.part[i], y.part[i]))
VITRAIL_LANEWISE(F16, to_float, (I16<A> x), xsimd::to_float(x.part[i]))
/// Rounds to nearest even; the caller keeps values inside s32.
VITRAIL_LANEWISE(I16, round_to_int, (F16<A> x), xsimd::nearbyint_as_int(x.part[i]))
VITRAIL_LANEWISE(I16, operator+, (I16<A> x, I16<A> y), x.part[i] + y.part[i])
VITRAIL_LANEWISE(I16, operator-, (I16<A> x, I16<A> y), x.part[i] - y.part[i])
VITRAIL_LANEWISE(I16, operator*, (I16<A> x, I16<A> y), x.part[i] * y.part[i])
VITRAIL_LANEWISE(F16, abs, (F16<A> x), xsimd::abs(x.part[i]))
/// Four s8 values per lane as its bytes, the first one lowest.
VITRAIL_LANEWISE(I16, pack_bytes, (I16<A> a, I16<A> b, I16<A> c, I16<A> d),
                 ((a.part[i] & 255) | ((b.part[i] & 255) << 8)) | (((c.part[i] & 255) << 16) | (d.part[i] << 24)))
/// |x| < limit ? inside : (x > 0 ? 1 : −1)
VITRAIL_LANEWISE(F16, inside_or_sign, (F16<A> x, float limit, F16<A> inside),
                 xsimd::select(xsimd::abs(x.part[i]) < typename F16<A>::Batch(limit), inside.part[i],
                               xsimd::select(x.part[i] > typename F16<A>::Batch(0.0f), typename F16<A>::Batch(1.0f),
                                             typename F16<A>::Batch(-1.0f))))
#undef VITRAIL_LANEWISE

#if defined(__SSE4_2__) && !defined(__FMA__)
/// fma of the two low lanes on a CPU that has none: the product is exact in double; the sum is rounded to odd (Boldo
/// and Melquiond 2008), which keeps enough of what was lost for the last rounding, to float, to be that of the exact
/// value.
VITRAIL_INLINE __m128 fma_low(__m128 x, __m128 y, __m128 z) {
  const __m128d product = _mm_mul_pd(_mm_cvtps_pd(x), _mm_cvtps_pd(y)), addend = _mm_cvtps_pd(z);
  const __m128d sum = _mm_add_pd(product, addend);
  const __m128d part = _mm_sub_pd(sum, product);
  const __m128d lost = _mm_add_pd(_mm_sub_pd(product, _mm_sub_pd(sum, part)), _mm_sub_pd(addend, part));
  const __m128i inexact = _mm_castpd_si128(_mm_cmpneq_pd(lost, _mm_setzero_pd()));
  // −1 where the exact value is nearer to zero than the sum: signs differ.
  const __m128i signs = _mm_srai_epi32(_mm_castpd_si128(_mm_xor_pd(sum, lost)), 31);
  const __m128i smaller = _mm_and_si128(_mm_shuffle_epi32(signs, 0b11'11'01'01), inexact);
  const __m128i towards_zero = _mm_add_epi64(_mm_castpd_si128(sum), smaller);
  return _mm_cvtpd_ps(_mm_castsi128_pd(_mm_or_si128(towards_zero, _mm_srli_epi64(inexact, 63))));
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
  const __m128 low = fma_low(x, y, z);
  return _mm_movelh_ps(low, fma_low(_mm_movehl_ps(x, x), _mm_movehl_ps(y, y), _mm_movehl_ps(z, z)));
#else
  return xsimd::fma(x, y, z);
#endif
}

template <class A>
VITRAIL_INLINE F16<A> fma(F16<A> x, F16<A> y, F16<A> z) {
  F16<A> r;
  for (int i = 0; i < F16<A>::parts; ++i) r.part[i] = fma_batch<A>(x.part[i], y.part[i], z.part[i]);
  return r;
}

/// x · 2ⁿ by adding n to the exponent of 1: n in −126 … 127.
template <class A>
VITRAIL_INLINE F16<A> scale_by_power(F16<A> x, I16<A> n) {
  using Floats = typename F16<A>::Batch;
  F16<A> r;
  for (int i = 0; i < F16<A>::parts; ++i) {
    const auto bits = (n.part[i] + typename I16<A>::Batch(127)) << 23;
#if XSIMD_VERSION_MAJOR >= 9
    r.part[i] = x.part[i] * xsimd::bitwise_cast<float>(bits);
#else
    r.part[i] = x.part[i] * xsimd::bitwise_cast<Floats>(bits);
#endif
    static_assert(sizeof(Floats) == sizeof(bits));
  }
  return r;
}

/// Folds the sixteen lanes of a row sum as the contract says: i += i+8, i+4, i+2, i+1.
template <class A>
VITRAIL_INLINE float fold_sum(F16<A> x) {
  float lanes[16];
  x.store(lanes);
  for (int half = 8; half >= 1; half /= 2)
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

/// The sum of the sixteen integers.
template <class A>
VITRAIL_INLINE std::int32_t fold_sum(I16<A> x) {
  std::int32_t lanes[16];
  x.store(lanes);
  std::int32_t sum = 0;
  for (const std::int32_t v : lanes) sum += v;
  return sum;
}

// The order does not matter to these two; halving keeps the chain of dependent instructions short.
template <class A>
VITRAIL_INLINE float fold_max(F16<A> x) {
  float lanes[16];
  x.store(lanes);
  for (int half = 8; half >= 1; half /= 2)
    for (int i = 0; i < half; ++i) lanes[i] = lanes[i + half] > lanes[i] ? lanes[i + half] : lanes[i];
  return lanes[0];
}

template <class A>
VITRAIL_INLINE float fold_min(F16<A> x) {
  float lanes[16];
  x.store(lanes);
  for (int half = 8; half >= 1; half /= 2)
    for (int i = 0; i < half; ++i) lanes[i] = lanes[i + half] < lanes[i] ? lanes[i + half] : lanes[i];
  return lanes[0];
}

/// Stores the sixteen values clamped to 0 … 255. xsimd has no narrowing store, hence the intrinsics.
template <class A>
VITRAIL_INLINE void store_u8(I16<A> x, std::uint8_t* dst) {
#ifdef __AVX512F__
  if constexpr (std::is_base_of_v<xsimd::avx512f, A>) {
    const __m512i positive = _mm512_max_epi32(x.part[0], _mm512_setzero_si512());
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst), _mm512_cvtusepi32_epi8(positive));
    return;
  }
#endif
#ifdef __AVX2__
  if constexpr (I16<A>::parts == 2) {
    const __m256i words = _mm256_packs_epi32(x.part[0], x.part[1]);          // 0-3 8-11 | 4-7 12-15
    const __m256i ordered = _mm256_permute4x64_epi64(words, 0b11'01'10'00);  // 0-7 | 8-15
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst), bytes);
    return;
  }
#endif
#ifdef __ARM_NEON
  if constexpr (I16<A>::parts == 4) {
    const int16x8_t low = vcombine_s16(vqmovn_s32(x.part[0]), vqmovn_s32(x.part[1]));
    const int16x8_t high = vcombine_s16(vqmovn_s32(x.part[2]), vqmovn_s32(x.part[3]));
    vst1q_u8(dst, vcombine_u8(vqmovun_s16(low), vqmovun_s16(high)));
    return;
  }
#endif
  std::int32_t lanes[16];
  x.store(lanes);
  for (int i = 0; i < 16; ++i) dst[i] = static_cast<std::uint8_t>(lanes[i] < 0 ? 0 : lanes[i] > 255 ? 255 : lanes[i]);
}

/// Stores sixteen values of −128 … 127.
template <class A>
VITRAIL_INLINE void store_s8(I16<A> x, std::int8_t* dst) {
  std::uint8_t bytes[16];
  store_u8(x + I16<A>::all(128), bytes);
  for (int i = 0; i < 16; ++i) dst[i] = static_cast<std::int8_t>(bytes[i] ^ 0x80);
}

}  // namespace vitrail::simd
