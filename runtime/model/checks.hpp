// Small things every reader of untrusted files needs: where the first error is kept, and how values look in messages.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "vitrail/error.hpp"

namespace vitrail {

/// Remembers the first thing that went wrong, so that a reader of thirty fields need not test thirty results. After an
/// error readers return harmless values; whoever uses them asks `status()` before believing any of them.
class FirstError {
 public:
  bool failed() const { return error_.has_value(); }
  void set(ErrorCode code, std::string message) {
    if (!error_) error_ = Error{code, std::move(message)};
  }
  Status status() const { return error_ ? Status(*error_) : Status(); }

 private:
  std::optional<Error> error_;
};

/// `text` in quotes, control characters escaped and cut after 100 bytes: names in damaged files can be anything.
std::string in_quotes(std::string_view text);

/// "[2, 3, 4]"
std::string shape_text(std::span<const std::int64_t> shape);

}  // namespace vitrail
