// Sixteen lanes folded to one value, in the contract's order.
#pragma once

#include "platforms/simd/vec16.hpp"

namespace vitrail::simd {

/// Registers folded by halves to one: lanes i += i + 8 … until a register is left.
template <class R, class F>
VITRAIL_INLINE auto fold_registers(const R& x, F f) {
  if constexpr (requires { R::low; })
    return fold_registers(each<typename R::Half>(f, x.low, x.high), f);
  else
    return x.batch;
}

/// Lane i of the result is lane i + distance of x; the upper lanes are of no interest.
#ifdef __SSE4_2__
template <int distance>
VITRAIL_INLINE __m128 lanes_from(__m128 x) {
  return _mm_shuffle_ps(x, x, distance == 2 ? 0b11'10 : 0b01);
}
template <int distance>
VITRAIL_INLINE __m128i lanes_from(__m128i x) {
  return _mm_shuffle_epi32(x, distance == 2 ? 0b11'10 : 0b01);
}
#endif
#ifdef __AVX2__
template <int distance>
VITRAIL_INLINE __m256 lanes_from(__m256 x) {
  if constexpr (distance == 4) return _mm256_permute2f128_ps(x, x, 1);
  return _mm256_permute_ps(x, distance == 2 ? 0b11'10 : 0b01);
}
template <int distance>
VITRAIL_INLINE __m256i lanes_from(__m256i x) {
  return _mm256_castps_si256(lanes_from<distance>(_mm256_castsi256_ps(x)));
}
#endif
#ifdef __AVX512F__
template <int distance>
VITRAIL_INLINE __m512 lanes_from(__m512 x) {
  if constexpr (distance >= 4) return _mm512_shuffle_f32x4(x, x, distance == 8 ? 0b11'10 : 0b01);
  return _mm512_permute_ps(x, distance == 2 ? 0b11'10 : 0b01);
}
template <int distance>
VITRAIL_INLINE __m512i lanes_from(__m512i x) {
  return _mm512_castps_si512(lanes_from<distance>(_mm512_castsi512_ps(x)));
}
#endif
#ifdef __aarch64__
template <int distance>
VITRAIL_INLINE float32x4_t lanes_from(float32x4_t x) {
  return vextq_f32(x, x, distance);
}
template <int distance>
VITRAIL_INLINE int32x4_t lanes_from(int32x4_t x) {
  return vextq_s32(x, x, distance);
}
#endif

/// Lanes folded by halves, i += i + 8, i + 4, i + 2, i + 1: the contract's order for a sum.
template <int count, class B, class F>
VITRAIL_INLINE auto fold_lanes(B x, F f) {
  if constexpr (count > 1)
    return fold_lanes<count / 2>(f(x, B(lanes_from<count / 2>(x.data))), f);
  else
    return static_cast<typename B::value_type>(x.data[0]);
}

template <class R, class F>
VITRAIL_INLINE auto fold(const R& x, F f) {
  const auto batch = fold_registers(x, f);
  return fold_lanes<static_cast<int>(decltype(batch)::size)>(batch, f);
}

template <class A>
VITRAIL_INLINE float fold_sum(F16<A> x) {
  return fold(
      x.r, [](auto a, auto b) __attribute__((always_inline)) { return a + b; });
}

template <class A>
VITRAIL_INLINE std::int32_t fold_sum(I16<A> x) {
  return fold(
      x.r, [](auto a, auto b) __attribute__((always_inline)) { return a + b; });
}

// The order does not matter to the largest and the smallest.
template <class A>
VITRAIL_INLINE float fold_max(F16<A> x) {
  const auto largest = [](auto a, auto b) __attribute__((always_inline)) { return xsimd::max(a, b); };
#ifdef __aarch64__
  return vmaxvq_f32(fold_registers(x.r, largest));
#else
  return fold(x.r, largest);
#endif
}

template <class A>
VITRAIL_INLINE float fold_min(F16<A> x) {
  const auto smallest = [](auto a, auto b) __attribute__((always_inline)) { return xsimd::min(a, b); };
#ifdef __aarch64__
  return vminvq_f32(fold_registers(x.r, smallest));
#else
  return fold(x.r, smallest);
#endif
}

}  // namespace vitrail::simd
