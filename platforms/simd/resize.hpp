// The three loops of a resize (contracts: runtime/kernels.hpp). Their sums are exact integers: any order gives them.
#pragma once

#include "platforms/simd/narrow.hpp"
#include "runtime/resize_filters.hpp"

namespace vitrail::simd {

/// A register of 16-bit samples or weights, which xsimd cannot multiply into 32 bits. On AVX-512 it is AVX2's: few
/// filters are longer.
/// @tparam A  so that no function compiled for one instruction set can be linked into code for another
template <class A>
struct Words {
#if defined(__AVX2__)
  static constexpr int count = 16;
  __m256i r;
  VITRAIL_INLINE static Words load(const std::int16_t* src) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(src))};
  }
#elif defined(__SSE4_2__)
  static constexpr int count = 8;
  __m128i r;
  VITRAIL_INLINE static Words load(const std::int16_t* src) {
    return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(src))};
  }
#else
  static constexpr int count = 8;
  int16x8_t r;
  VITRAIL_INLINE static Words load(const std::int16_t* src) { return {vld1q_s16(src)}; }
#endif
};

/// Four or eight sums of 32 bits.
template <class A>
struct Sums {
#if defined(__AVX2__)
  __m256i r = _mm256_setzero_si256();
  VITRAIL_INLINE void add_products(Words<A> a, Words<A> b) { r = _mm256_add_epi32(r, _mm256_madd_epi16(a.r, b.r)); }
#elif defined(__SSE4_2__)
  __m128i r = _mm_setzero_si128();
  VITRAIL_INLINE void add_products(Words<A> a, Words<A> b) { r = _mm_add_epi32(r, _mm_madd_epi16(a.r, b.r)); }
#else
  int32x4_t r = vdupq_n_s32(0);
  VITRAIL_INLINE void add_products(Words<A> a, Words<A> b) {
    r = vmlal_high_s16(vmlal_s16(r, vget_low_s16(a.r), vget_low_s16(b.r)), a.r, b.r);
  }
#endif
};

/// Four sums of high · 2^split_weight_shift + low.
template <class A>
VITRAIL_INLINE auto four_of(Sums<A> high, Sums<A> low) {
#if defined(__AVX2__)
  const __m256i whole = _mm256_add_epi32(_mm256_slli_epi32(high.r, split_weight_shift), low.r);
  return _mm_add_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
#elif defined(__SSE4_2__)
  return _mm_add_epi32(_mm_slli_epi32(high.r, split_weight_shift), low.r);
#else
  return vaddq_s32(vshlq_n_s32(high.r, split_weight_shift), low.r);
#endif
}

/// dst[0 … 3] = the sums of a's lanes, of b's, of c's, and of c's again.
VITRAIL_INLINE void store_folded(auto a, auto b, auto c, std::int32_t* dst) {
#if defined(__SSE4_2__)
  const __m128i sums = _mm_hadd_epi32(_mm_hadd_epi32(a, b), _mm_hadd_epi32(c, c));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(dst), sums);
#else
  vst1q_s32(dst, vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, c)));
#endif
}

template <class A, int channels>
VITRAIL_INLINE void resize_row_of(const std::int16_t* planes, std::ptrdiff_t plane_pitch, const AxisFilter& filter,
                                  const SplitWeights& weights, std::int32_t* sums) {
  static_assert(filter_block % Words<A>::count == 0);
  const int begin = filter.begin(), size = filter.size();
  const std::ptrdiff_t pitch = filter.pitch;
  const FilterSpan* spans = filter.spans.data();
  const std::int16_t *weights_high = weights.high.data(), *weights_low = weights.low.data();
  for (int i = 0; i < size; ++i, weights_high += pitch, weights_low += pitch, sums += channels) {
    const FilterSpan span = spans[i];
    const std::int16_t* src = planes + (span.first - begin);
    Sums<A> high[channels], low[channels];
    for (int k = 0; k < span.count; k += Words<A>::count) {
      const auto by_high = Words<A>::load(weights_high + k), by_low = Words<A>::load(weights_low + k);
      unroll<channels>([&](auto c) __attribute__((always_inline)) {
        const auto samples = Words<A>::load(src + c * plane_pitch + k);
        high[c].add_products(samples, by_high);
        low[c].add_products(samples, by_low);
        VITRAIL_IN_REGISTER(high[c].r);
        VITRAIL_IN_REGISTER(low[c].r);
      });
    }
    if constexpr (channels == 3) {
      store_folded(four_of(high[0], low[0]), four_of(high[1], low[1]), four_of(high[2], low[2]), sums);
    } else {
      const auto four = four_of(high[0], low[0]);
      std::int32_t same[4];
      store_folded(four, four, four, same);
      *sums = same[0];
    }
  }
}

template <class A>
void resize_row(const std::int16_t* planes, std::ptrdiff_t plane_pitch, int channels, const AxisFilter& filter,
                const SplitWeights& weights, std::int32_t* sums) {
  channels == 3 ? resize_row_of<A, 3>(planes, plane_pitch, filter, weights, sums)
                : resize_row_of<A, 1>(planes, plane_pitch, filter, weights, sums);
}

/// Sixteen bytes, one in each lane.
template <class A>
VITRAIL_INLINE I16<A> load_bytes(const std::uint8_t* src) {
  using B = typename I16<A>::Batch;
#ifdef __AVX512F__
  if constexpr (B::size == 16)
    return {B(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(src))))};
  else
#endif
#ifdef __AVX2__
      if constexpr (B::size == 8) {
    const auto eight = [](const std::uint8_t* from) __attribute__((always_inline)) {
      return B(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
    };
    return {{{eight(src)}, {eight(src + 8)}}};
  } else
#endif
  {
#ifdef __SSE4_2__
    const auto four = [=](int i) __attribute__((always_inline)) {
      return B(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(load_as<std::int32_t>(src + i))));
    };
    return {{{{four(0)}, {four(4)}}, {{four(8)}, {four(12)}}}};
#else
    const uint8x16_t bytes = vld1q_u8(src);
    const uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
    const auto first = [](uint16x8_t x) __attribute__((always_inline)) {
      return B(vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(x))));
    };
    const auto last = [](uint16x8_t x) __attribute__((always_inline)) {
      return B(vreinterpretq_s32_u32(vmovl_high_u16(x)));
    };
    return {{{{first(low)}, {last(low)}}, {{first(high)}, {last(high)}}}};
#endif
  }
}

/// `vectors` times sixteen samples: their sums stay in registers while the rows pass by.
template <class A, int vectors>
VITRAIL_INLINE void blend_strip(const std::uint8_t* const* rows, const std::int32_t* weights, int count, std::size_t x,
                                std::uint8_t* dst) {
  using I = I16<A>;
  I sums[vectors];
  unroll<vectors>([&](auto i) __attribute__((always_inline)) { sums[i] = I::all(resize_rounding); });
  for (int k = 0; k < count; ++k) {
    const std::uint8_t* row = rows[k] + x;
    const I weight = I::all(weights[k]);
    unroll<vectors>([&](auto i) __attribute__((always_inline)) {
      sums[i] = plus_product(sums[i], weight, load_bytes<A>(row + 16 * i));
    });
  }
  unroll<vectors>([&](auto i) __attribute__((always_inline)) {
    store_u8(shift_right<resize_fraction_bits>(sums[i]), 0, dst + x + 16 * i);
  });
}

template <class A>
void blend_rows(const std::uint8_t* const* rows, const std::int32_t* weights, int count, std::uint8_t* dst,
                std::size_t row_bytes) {
  std::size_t x = 0;
  for (; x + 32 <= row_bytes; x += 32) blend_strip<A, 2>(rows, weights, count, x, dst);
  for (; x + 16 <= row_bytes; x += 16) blend_strip<A, 1>(rows, weights, count, x, dst);
  if (x < row_bytes && row_bytes >= 16) return blend_strip<A, 1>(rows, weights, count, row_bytes - 16, dst);
  for (; x < row_bytes; ++x) {
    std::int32_t sum = resize_rounding;
    for (int k = 0; k < count; ++k) sum += weights[k] * rows[k][x];
    dst[x] = resized_sample(sum);
  }
}

#ifdef __SSE4_2__
/// Of four pixels in each sixteen bytes: bytes 0 of all as 16 bits, then bytes 1.
template <int bytes>
VITRAIL_INLINE __m128i first_and_second() {
  constexpr auto at = [](int pixel, int byte) { return static_cast<char>(pixel * bytes + byte); };
  return _mm_setr_epi8(at(0, 0), -1, at(1, 0), -1, at(2, 0), -1, at(3, 0), -1,  //
                       at(0, 1), -1, at(1, 1), -1, at(2, 1), -1, at(3, 1), -1);
}
/// Of four pixels in each sixteen bytes: bytes 2 of all as 16 bits.
template <int bytes>
VITRAIL_INLINE __m128i third() {
  return _mm_setr_epi8(2, -1, 2 + bytes, -1, 2 + 2 * bytes, -1, 2 + 3 * bytes, -1, -1, -1, -1, -1, -1, -1, -1, -1);
}
#endif

/// As many pixels as a register has 16-bit samples; 16 bytes are read from every fourth pixel on.
template <class A, int bytes>
VITRAIL_INLINE void split_some(const std::uint8_t* src, const Planes& dst) {
#if defined(__AVX2__)
  const auto pixels = [=](int x, int y) __attribute__((always_inline)) {
    const auto four = [=](int i) __attribute__((always_inline)) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(src + i * bytes));
    };
    return _mm256_inserti128_si256(_mm256_castsi128_si256(four(x)), four(y), 1);
  };
  const __m256i order = _mm256_broadcastsi128_si256(first_and_second<bytes>());
  const __m256i order_3 = _mm256_broadcastsi128_si256(third<bytes>());
  const __m256i a = pixels(0, 8), b = pixels(4, 12);
  const __m256i a12 = _mm256_shuffle_epi8(a, order), b12 = _mm256_shuffle_epi8(b, order);
  const __m256i a3 = _mm256_shuffle_epi8(a, order_3), b3 = _mm256_shuffle_epi8(b, order_3);
  const auto store = [](__m256i x, std::int16_t * to) __attribute__((always_inline)) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), x);
  };
  store(_mm256_unpacklo_epi64(a12, b12), dst.of[0]);
  store(_mm256_unpackhi_epi64(a12, b12), dst.of[1]);
  store(_mm256_unpacklo_epi64(a3, b3), dst.of[2]);
#elif defined(__SSE4_2__)
  const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(src));
  const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(src + 4 * bytes));
  const __m128i order = first_and_second<bytes>(), order_3 = third<bytes>();
  const __m128i a12 = _mm_shuffle_epi8(a, order), b12 = _mm_shuffle_epi8(b, order);
  const auto store = [](__m128i x, std::int16_t * to) __attribute__((always_inline)) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), x);
  };
  store(_mm_unpacklo_epi64(a12, b12), dst.of[0]);
  store(_mm_unpackhi_epi64(a12, b12), dst.of[1]);
  store(_mm_unpacklo_epi64(_mm_shuffle_epi8(a, order_3), _mm_shuffle_epi8(b, order_3)), dst.of[2]);
#else
  const auto split = [&](const auto& eights) __attribute__((always_inline)) {
    unroll<3>([&](auto c) __attribute__((always_inline)) {
      vst1q_s16(dst.of[c], vreinterpretq_s16_u16(vmovl_u8(eights.val[c])));
    });
  };
  if constexpr (bytes == 3)
    split(vld3_u8(src));
  else
    split(vld4_u8(src));
#endif
}

template <class A, int bytes>
VITRAIL_INLINE void split_pixels_of(const std::uint8_t* src, int width, Planes dst) {
  constexpr int some = Words<A>::count, read = (some - 4) * bytes + 16;
  int x = 0;
  for (; (width - x) * bytes >= read; x += some) split_some<A, bytes>(src + x * bytes, dst.from(x));
  for (; x < width; ++x)
    for (int c = 0; c < 3; ++c) dst.of[c][x] = src[x * bytes + c];
}

template <class A>
void split_pixels(const std::uint8_t* src, int pixel_bytes, int width, Planes dst) {
  pixel_bytes == 3 ? split_pixels_of<A, 3>(src, width, dst) : split_pixels_of<A, 4>(src, width, dst);
}

}  // namespace vitrail::simd
