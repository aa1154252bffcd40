// Errors about arguments in the words of all of them: which one, what was found, what was expected. And what becomes of
// an exception where none may leave.
#pragma once

#include <exception>
#include <new>
#include <stdexcept>
#include <string>

#include "vitrail/error.hpp"
#include "vitrail/model.hpp"

namespace vitrail {

inline Error argument_error(const std::string& argument, const std::string& found, const std::string& expected) {
  return Error{ErrorCode::invalid_argument, argument + ": found " + found + ", expected " + expected};
}

/// "height × width"
inline std::string size_text(int height, int width) { return std::to_string(height) + " × " + std::to_string(width); }

/// Success when `value` lies in [low, high].
inline Status check_range(const char* argument, long long value, long long low, long long high) {
  if (value >= low && value <= high) return {};
  return argument_error(argument, std::to_string(value), std::to_string(low) + " to " + std::to_string(high));
}

/// Success when `dtype` is one.
inline Status check_dtype(const char* argument, DType dtype) {
  if (dtype == DType::int8 || dtype == DType::f32) return {};
  return argument_error(argument, std::to_string(static_cast<int>(dtype)), "DType::int8 or DType::f32");
}

/// A RowSource without row `y`.
inline Error no_row(int y) { return argument_error("picture", "null for row " + std::to_string(y), "its pixels"); }

/// The exception that is being handled, for the catch (...) of a function that throws none. Texts of a few letters need
/// no memory.
inline Error caught() noexcept try { throw; } catch (const std::bad_alloc&) {
  return {ErrorCode::out_of_memory, "out of memory"};
} catch (const std::length_error&) {  // a vector's word for a size that no memory has
  return {ErrorCode::out_of_memory, "out of memory"};
} catch (const std::exception& error) {
  try {
    return {ErrorCode::io, error.what()};
  } catch (...) {
    return {ErrorCode::out_of_memory, "out of memory"};
  }
} catch (...) {
  return {ErrorCode::io, "unknown error"};
}

}  // namespace vitrail
