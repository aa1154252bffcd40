// What goes wrong, as a value: Result<T> holds a T or an Error. The library never prints, exits or aborts. A function
// that is not noexcept may throw std::bad_alloc where there is no memory for its result or for an error's text.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace vitrail {

/// Which kind of thing went wrong; the message says which file, key or argument, what was found and what was expected.
enum class ErrorCode {
  invalid_argument,  ///< the caller's argument is out of range or contradicts another
  io,                ///< a file cannot be opened, read or written
  bad_file,          ///< a file is there but is damaged or contradicts itself
  unsupported,       ///< a file is sound but asks for something that is not run (it is refused, never approximated)
  out_of_memory,     ///< an allocation failed
};

struct Error {
  ErrorCode code = ErrorCode::invalid_argument;
  std::string message;
};

#ifdef __cpp_exceptions
/// Thrown only by Result::value(), for callers who prefer exceptions. Where they are switched off, there is neither.
class Exception : public std::runtime_error {
 public:
  explicit Exception(Error error) : std::runtime_error(error.message), error_(std::move(error)) {}
  const Error& error() const noexcept { return error_; }

 private:
  Error error_;
};
#endif

/// A T or an Error. Test it like a bool, then use `*result`; or call `value()`, which throws Exception on an error.
/// Not thread-safe: like any value, it belongs to one thread at a time.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Error error) noexcept : error_(std::move(error)) {}

  explicit operator bool() const noexcept { return value_.has_value(); }

  /// The error; meaningful only when the result tests false.
  const Error& error() const noexcept { return error_; }

  /// Precondition: the result tests true.
  T& operator*() & noexcept { return *value_; }
  const T& operator*() const& noexcept { return *value_; }
  T&& operator*() && noexcept { return *std::move(value_); }
  T* operator->() noexcept { return &*value_; }
  const T* operator->() const noexcept { return &*value_; }

#ifdef __cpp_exceptions
  /// The value, or throws Exception carrying the error.
  T& value() & { return check(), *value_; }
  const T& value() const& { return check(), *value_; }
  T&& value() && { return check(), *std::move(value_); }

 private:
  void check() const {
    if (!value_) throw Exception(error_);
  }
#endif

 private:
  std::optional<T> value_;
  Error error_;
};

/// Success, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() noexcept = default;
  Result(Error error) noexcept : failed_(true), error_(std::move(error)) {}

  explicit operator bool() const noexcept { return !failed_; }
  /// The error; meaningful only when the result tests false.
  const Error& error() const noexcept { return error_; }
#ifdef __cpp_exceptions
  void value() const {
    if (failed_) throw Exception(error_);
  }
#endif

 private:
  bool failed_ = false;
  Error error_;
};

using Status = Result<void>;

}  // namespace vitrail
