// Checks what an error says: a message that names file, key, found and expected is part of the contract.
#pragma once

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <string_view>

#include "vitrail/error.hpp"

namespace vitrail::test {

template <class T>
void check_error(const Result<T>& result, ErrorCode code, std::initializer_list<std::string_view> parts) {
  REQUIRE_MESSAGE(!result, "expected an error");
  const std::string& message = result.error().message;
  INFO("message: ", message);
  CHECK(static_cast<int>(result.error().code) == static_cast<int>(code));
  for (std::string_view part : parts) {
    CAPTURE(std::string(part));
    CHECK(message.find(part) != std::string::npos);
  }
}

}  // namespace vitrail::test
