#pragma once

#include <cstdint>

namespace vitrail::test {

/// Calls of operator new in this program so far, on all threads. Needs tests/support/allocations.cpp.
std::uint64_t allocations();

/// Those of them that were of 16 MiB or more.
std::uint64_t big_allocations();

/// As long as it lives, memory is short on this thread: after some calls, operator new throws std::bad_alloc,
/// for good or for some calls.
class FewAllocations {
 public:
  explicit FewAllocations(std::uint64_t calls, std::uint64_t failures = UINT64_MAX);
  ~FewAllocations();
  FewAllocations(const FewAllocations&) = delete;
};

}  // namespace vitrail::test
