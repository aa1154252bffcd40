// Seeded numbers for tests: the same on every machine.
#pragma once

#include <cstdint>
#include <vector>

namespace vitrail::test {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t bits() {  // splitmix64
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  /// An integer in [low, high].
  int integer(int low, int high) { return low + static_cast<int>(bits() % static_cast<std::uint64_t>(high - low + 1)); }
  float uniform(float low, float high) { return low + (high - low) * (static_cast<float>(bits() >> 40) / 16777216.0f); }
  std::vector<float> floats(std::size_t count, float low, float high) {
    std::vector<float> v(count);
    for (auto& x : v) x = uniform(low, high);
    return v;
  }
  std::vector<std::uint8_t> bytes(std::size_t count) {
    std::vector<std::uint8_t> v(count);
    for (auto& x : v) x = static_cast<std::uint8_t>(bits());
    return v;
  }

 private:
  std::uint64_t state_;
};

}  // namespace vitrail::test
