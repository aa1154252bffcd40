// Aligned memory, allocated in one piece and handed out in parts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

namespace vitrail {

inline constexpr std::size_t storage_alignment = 64;            ///< bytes: a cache line, an AVX-512 register
inline constexpr std::size_t huge_page = std::size_t{2} << 20;  ///< of x86, and of ARM with pages of 4 KB

/// With the address sanitizer each array has a block of its own, so that its end is watched.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool ends_are_watched = true;
#elif defined(__has_feature)
inline constexpr bool ends_are_watched = __has_feature(address_sanitizer);
#else
inline constexpr bool ends_are_watched = false;
#endif

template <class N>
N align_up(N n, std::type_identity_t<N> unit = storage_alignment) {
  return (n + unit - 1) / unit * unit;
}

struct AlignedDelete {
  std::size_t mapped = 0;  ///< bytes that come from the system itself; 0: from operator new
  void operator()(std::byte* p) const noexcept;
};
using AlignedBytes = std::unique_ptr<std::byte[], AlignedDelete>;

/// `count` of T's as a size, where this machine can address them; else throws std::bad_alloc.
template <class T>
std::size_t addressable(std::uint64_t count) {
  constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::ptrdiff_t>::max()) - 2 * storage_alignment;
  if (count > most / sizeof(T)) throw std::bad_alloc();
  return static_cast<std::size_t>(count);
}

/// Zero-filled; throws std::bad_alloc. Blocks of a huge page and more are in such, where the system has them to give:
/// what reads all weights for each picture would otherwise wait for the addresses of thousands of small ones.
AlignedBytes allocate_aligned(std::uint64_t bytes);

/// Owns many aligned arrays that live equally long, side by side in a few blocks.
class Storage {
 public:
  /// Zero-filled; throws std::bad_alloc.
  template <class T>
  T* make(std::uint64_t count) {
    return reinterpret_cast<T*>(take(addressable<T>(count) * sizeof(T)));
  }
  /// Of the arrays, without what is left of the blocks.
  std::size_t bytes() const { return bytes_; }

 private:
  struct Block {
    AlignedBytes memory;
    std::size_t size, used;
  };
  std::byte* take(std::size_t bytes);

  std::vector<Block> blocks_;
  std::size_t bytes_ = 0;
};

/// Hands out parts of a block; with no block it only measures. Parts of a region that begins at the same mark share
/// memory. Throws std::bad_alloc where it is more than this machine can address.
class Layout {
 public:
  explicit Layout(std::byte* base = nullptr) : base_(base) {}

  template <class T>
  T* take(std::uint64_t count) {
    const std::size_t at = used_;
    used_ = align_up(addressable<std::byte>(std::uint64_t{used_} + addressable<T>(count) * sizeof(T)));
    if (used_ > peak_) peak_ = used_;
    return base_ ? reinterpret_cast<T*>(base_ + at) : nullptr;
  }
  std::size_t mark() const { return used_; }
  void rewind(std::size_t mark) { used_ = mark; }
  /// Continues after the largest extent used so far.
  void seal() { used_ = peak_; }
  std::size_t size_bytes() const { return peak_; }

 private:
  std::byte* base_;
  std::size_t used_ = 0, peak_ = 0;
};

}  // namespace vitrail
