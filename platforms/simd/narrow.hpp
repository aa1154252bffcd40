// Sixteen 32-bit integers become sixteen bytes, for which xsimd has nothing.
#pragma once

#include "platforms/simd/vec16.hpp"

namespace vitrail::simd {

/// Stores clamp(x + offset, 0, 255), where x and x + offset fit 16 bits.
template <class A>
VITRAIL_INLINE void store_u8(I16<A> x, std::int32_t offset, std::uint8_t* dst) {
#ifdef __AVX512F__
  if constexpr (std::is_base_of_v<xsimd::avx512f, A>) {
    const __m512i sum = _mm512_add_epi32(x.r.batch, _mm512_set1_epi32(offset));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst),
                     _mm512_cvtusepi32_epi8(_mm512_max_epi32(sum, _mm512_setzero_si512())));
    return;
  }
#endif
#ifdef __AVX2__
  if constexpr (I16<A>::Batch::size == 8) {
    const __m256i words = _mm256_add_epi16(_mm256_packs_epi32(x.r.low.batch, x.r.high.batch),  // 0-3 8-11 | 4-7 12-15
                                           _mm256_set1_epi16(static_cast<short>(offset)));
    const __m256i bytes = _mm256_packus_epi16(words, words);  // 0-3 8-11 twice | 4-7 12-15 twice
    const __m128i low = _mm256_castsi256_si128(bytes), high = _mm256_extracti128_si256(bytes, 1);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst), _mm_unpacklo_epi32(low, high));
    return;
  }
#endif
#ifdef __aarch64__
  if constexpr (I16<A>::Batch::size == 4) {
    const auto words = [&](const auto& two) __attribute__((always_inline)) {
      return vaddq_s16(vuzp1q_s16(vreinterpretq_s16_s32(two.low.batch), vreinterpretq_s16_s32(two.high.batch)),
                       vdupq_n_s16(static_cast<std::int16_t>(offset)));
    };
    vst1q_u8(dst, vqmovun_high_s16(vqmovun_s16(words(x.r.low)), words(x.r.high)));
    return;
  }
#endif
#ifdef __SSE4_2__
  if constexpr (I16<A>::Batch::size == 4) {
    const __m128i add = _mm_set1_epi16(static_cast<short>(offset));
    const auto words = [&](const auto& two) __attribute__((always_inline)) {
      return _mm_add_epi16(_mm_packs_epi32(two.low.batch, two.high.batch), add);
    };
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst), _mm_packus_epi16(words(x.r.low), words(x.r.high)));
  }
#endif
}

/// The same of 64 values, which fill whole registers on the way.
template <class A>
VITRAIL_INLINE void store_u8(const I16<A> (&x)[4], std::int32_t offset, std::uint8_t* dst) {
#ifdef __AVX512F__
  if constexpr (std::is_base_of_v<xsimd::avx512f, A>) {
    const __m512i add = _mm512_set1_epi16(static_cast<short>(offset));
    const __m512i low = _mm512_add_epi16(_mm512_packs_epi32(x[0].r.batch, x[1].r.batch), add);
    const __m512i high = _mm512_add_epi16(_mm512_packs_epi32(x[2].r.batch, x[3].r.batch), add);
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_storeu_si512(dst, _mm512_permutexvar_epi32(order, _mm512_packus_epi16(low, high)));
    return;
  }
#endif
#ifdef __AVX2__
  if constexpr (I16<A>::Batch::size == 8) {
    const __m256i add = _mm256_set1_epi16(static_cast<short>(offset));
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const auto words = [&](const I16<A>& v) __attribute__((always_inline)) {
      return _mm256_add_epi16(_mm256_packs_epi32(v.r.low.batch, v.r.high.batch), add);
    };
    unroll<2>([&](auto i) __attribute__((always_inline)) {
      const __m256i bytes = _mm256_packus_epi16(words(x[2 * i]), words(x[2 * i + 1]));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst + 32 * i), _mm256_permutevar8x32_epi32(bytes, order));
    });
    return;
  }
#endif
  unroll<4>([&](auto i) __attribute__((always_inline)) { store_u8(x[i], offset, dst + 16 * i); });
}

/// Stores sixteen values of −128 … 127.
template <class A>
VITRAIL_INLINE void store_s8(I16<A> x, std::int8_t* dst) {
#ifdef __AVX512F__
  if constexpr (std::is_base_of_v<xsimd::avx512f, A>) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst), _mm512_cvtepi32_epi8(x.r.batch));
    return;
  }
#endif
#ifdef __aarch64__
  if constexpr (I16<A>::Batch::size == 4) {
    const auto words = [](const auto& two) __attribute__((always_inline)) {
      return vreinterpretq_s8_s16(
          vuzp1q_s16(vreinterpretq_s16_s32(two.low.batch), vreinterpretq_s16_s32(two.high.batch)));
    };
    vst1q_s8(dst, vuzp1q_s8(words(x.r.low), words(x.r.high)));
    return;
  }
#endif
#ifdef __SSE4_2__
  std::uint8_t bytes[16];
  store_u8(x, 128, bytes);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(dst),
                   _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)), _mm_set1_epi8(-128)));
#endif
}

#if defined(__SSE4_2__) || defined(__aarch64__)
/// Four values of −128 … 127 from each of four registers, lane by lane of 128 bits: sixteen bytes a lane.
template <class B>
VITRAIL_INLINE auto narrow_fours(B a, B b, B c, B d) {
#ifdef __AVX512F__
  if constexpr (B::size == 16)
    return _mm512_packs_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
  else
#endif
#ifdef __AVX2__
      if constexpr (B::size == 8)
    return _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
  else
#endif
  {
#ifdef __SSE4_2__
    return _mm_packs_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d));
#else
    const auto words = [](auto x, auto y) __attribute__((always_inline)) {
      return vuzp1q_s16(vreinterpretq_s16_s32(x), vreinterpretq_s16_s32(y));
    };
    return vuzp1q_s8(vreinterpretq_s8_s16(words(a, b)), vreinterpretq_s8_s16(words(c, d)));
#endif
  }
}
#endif

/// Sixteen k of four columns, values of −128 … 127: each four k of all columns as sixteen bytes, `step_bytes` apart.
template <class R>
VITRAIL_INLINE void store_fours_of(const R& a, const R& b, const R& c, const R& d, std::ptrdiff_t step_bytes,
                                   std::int8_t* dst) {
  if constexpr (requires { R::low; }) {
    store_fours_of(a.low, b.low, c.low, d.low, step_bytes, dst);
    constexpr auto groups = static_cast<std::ptrdiff_t>(sizeof(R) / 2 / 16);
    store_fours_of(a.high, b.high, c.high, d.high, step_bytes, dst + groups * step_bytes);
  } else {
    const auto bytes = narrow_fours(a.batch, b.batch, c.batch, d.batch);
    const auto* each_sixteen = reinterpret_cast<const std::int8_t*>(&bytes);
    unroll<sizeof bytes / 16>([&](auto i) __attribute__((always_inline)) {
      __builtin_memcpy(dst + i * step_bytes, each_sixteen + 16 * i, 16);
    });
  }
}

}  // namespace vitrail::simd
