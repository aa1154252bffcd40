// Replaces the global operator new by one that counts.
#include "tests/support/allocations.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<std::uint64_t> count{0}, big_count{0};
thread_local std::uint64_t left = 0, failing = 0;  // FewAllocations'

void* counted(std::size_t bytes, std::size_t alignment) {
  if (left > 0) {
    --left;
  } else if (failing > 0) {
    --failing;
    throw std::bad_alloc();
  }
  ++count;
  if (bytes >= std::size_t{1} << 24) ++big_count;
  void* p = std::aligned_alloc(alignment, (bytes + alignment) / alignment * alignment);
  if (!p) throw std::bad_alloc();
  return p;
}
}  // namespace

std::uint64_t vitrail::test::allocations() { return count; }
std::uint64_t vitrail::test::big_allocations() { return big_count; }
vitrail::test::FewAllocations::FewAllocations(std::uint64_t calls, std::uint64_t failures) {
  left = calls;
  failing = failures;
}
vitrail::test::FewAllocations::~FewAllocations() { failing = 0; }

void* operator new(std::size_t n) { return counted(n, 16); }
void* operator new[](std::size_t n) { return counted(n, 16); }
void* operator new(std::size_t n, std::align_val_t a) { return counted(n, static_cast<std::size_t>(a)); }
void* operator new[](std::size_t n, std::align_val_t a) { return counted(n, static_cast<std::size_t>(a)); }
void* operator new(std::size_t n, const std::nothrow_t&) noexcept {  // std::stable_sort's
  try {
    return counted(n, 16);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
