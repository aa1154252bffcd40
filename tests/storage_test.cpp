// Memory that is handed out in parts: no count of elements wraps into a small number of bytes.
#include "runtime/storage.hpp"

#include <doctest/doctest.h>

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
