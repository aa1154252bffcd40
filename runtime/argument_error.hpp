// Errors about arguments, all worded the same way: which argument, what was found, what was expected.
#pragma once

#include <string>
#include <utility>

#include "vitrail/error.hpp"

namespace vitrail {

inline Error argument_error(const std::string& argument, const std::string& found, const std::string& expected) {
  return Error{ErrorCode::invalid_argument, argument + ": found " + found + ", expected " + expected};
}

/// Success when `value` lies in [low, high].
inline Status check_range(const char* argument, long long value, long long low, long long high) {
  if (value >= low && value <= high) return {};
  return argument_error(argument, std::to_string(value), std::to_string(low) + " to " + std::to_string(high));
}

}  // namespace vitrail
