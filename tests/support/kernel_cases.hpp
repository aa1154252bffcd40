// What tests of kernels share: awkward values and sizes, aligned memory, and equality to the bit.
#pragma once

#include <cstring>
#include <vector>

#include "platforms/reference/reference.hpp"
#include "runtime/storage.hpp"
#include "tests/support/platforms.hpp"
#include "tests/support/random.hpp"

namespace vitrail::test {

inline const Kernels reference_kernels = reference::kernels();

/// Bit for bit, so that −0 and NaN payloads count.
template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

/// Values of mixed sizes with some exact zeros, negative zeros and large outliers, as activations have.
inline std::vector<float> activations(Random& random, std::size_t count) {
  auto v = random.floats(count, -3.0f, 3.0f);
  for (std::size_t i = 0; i < count; i += 37) v[i] *= 40.0f;
  for (std::size_t i = 5; i < count; i += 53) v[i] = 0.0f;
  for (std::size_t i = 7; i < count; i += 59) v[i] = -0.0f;
  return v;
}

inline constexpr int lengths[] = {1, 3, 15, 16, 17, 31, 48, 63, 64, 65, 100, 127, 128, 192, 197, 384, 577, 768, 1000};

template <class T>
struct Aligned {
  explicit Aligned(std::size_t count) : memory(allocate_aligned(count * sizeof(T))), size(count) {}
  T* data() { return reinterpret_cast<T*>(memory.get()); }
  std::vector<T> copy() { return {data(), data() + size}; }
  AlignedBytes memory;
  std::size_t size;
};

}  // namespace vitrail::test
