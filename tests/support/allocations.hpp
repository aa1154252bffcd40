#pragma once

#include <cstdint>

namespace vitrail::test {

/// Calls of operator new in this program so far (all threads, oneDNN included). Needs tests/support/allocations.cpp.
std::uint64_t allocations();

}  // namespace vitrail::test
