// Memory that is handed out in parts: no count of elements wraps into a small number of bytes.
#include "runtime/storage.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>
#include <vector>

using namespace vitrail;

TEST_CASE("what this machine cannot address is no memory") {
  constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::ptrdiff_t>::max());
  constexpr std::uint64_t half = most / 2 / sizeof(float);
  CHECK(addressable<float>(half) == half);
  for (const std::uint64_t count : {most / sizeof(float), most, ~std::uint64_t{0}, std::uint64_t{1} << 63}) {
    CAPTURE(count);
    CHECK_THROWS_AS(addressable<float>(count), std::bad_alloc);
    CHECK_THROWS_AS(Layout().take<float>(count), std::bad_alloc);
    CHECK_THROWS_AS(Storage().make<float>(count), std::bad_alloc);
  }
  Layout layout;
  layout.take<float>(half);
  layout.take<float>(half / 2);
  CHECK_THROWS_AS(layout.take<float>(half), std::bad_alloc);  // the parts together
}

TEST_CASE("parts begin at cache lines, and what is taken after a rewind shares memory") {
  const AlignedBytes block = allocate_aligned(1024);
  Layout layout(block.get());
  const auto* a = layout.take<std::uint8_t>(3);
  const std::size_t mark = layout.mark();
  const auto* b = layout.take<std::uint8_t>(300);
  layout.rewind(mark);
  const auto* c = layout.take<std::uint8_t>(5);
  layout.seal();
  const auto* d = layout.take<std::uint8_t>(1);
  CHECK(b == a + 64);
  CHECK(c == b);
  CHECK(d == b + 320);
  CHECK(layout.size_bytes() == 64 + 320 + 64);
}

TEST_CASE("large blocks begin at huge pages, and all are zero") {
  for (const std::uint64_t bytes : {0u, 1u, 4096u, (2u << 20) - 1, 2u << 20, (2u << 20) + 1, 9u << 20}) {
    CAPTURE(bytes);
    const AlignedBytes block = allocate_aligned(bytes);
    const std::size_t alignment = bytes < huge_page || ends_are_watched ? storage_alignment : huge_page;
    CHECK(reinterpret_cast<std::uintptr_t>(block.get()) % alignment == 0);
    CHECK(std::count(block.get(), block.get() + bytes, std::byte{0}) == static_cast<std::ptrdiff_t>(bytes));
  }
}

TEST_CASE("arrays of a storage are zero, aligned, apart, and stay where they are") {
  Storage storage;
  std::vector<std::pair<std::uint8_t*, std::size_t>> arrays;
  std::size_t bytes = 0;
  for (const std::size_t size : {0u, 1u, 0u, 64u, 70'000u, 3u << 20, 100u, 65u, 40u << 20, 7u}) {
    auto* array = storage.make<std::uint8_t>(size);
    CHECK(reinterpret_cast<std::uintptr_t>(array) % 64 == 0);
    CHECK(std::count(array, array + size, 0) == static_cast<std::ptrdiff_t>(size));
    arrays.emplace_back(array, size);
    std::fill_n(array, size, static_cast<std::uint8_t>(arrays.size()));
    CHECK(storage.bytes() == (bytes += size));
  }
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    const auto [array, size] = arrays[i];
    CHECK(std::count(array, array + size, static_cast<std::uint8_t>(i + 1)) == static_cast<std::ptrdiff_t>(size));
  }
}
