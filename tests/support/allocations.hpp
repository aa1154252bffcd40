#pragma once

#include <cstdint>

namespace vitrail::test {

/// Calls of operator new in this program so far, on all threads. Needs tests/support/allocations.cpp.
std::uint64_t allocations();

/// Those of them that were of 16 MiB or more.
std::uint64_t big_allocations();

}  // namespace vitrail::test
