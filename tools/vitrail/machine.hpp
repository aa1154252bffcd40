// What this machine is and how fast it could be.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "vitrail/model.hpp"

namespace vitrail::cli {

/// The CPU as the system names it, e.g. "Intel(R) Xeon(R) Gold 6338"; "unknown" where it has no name.
std::string cpu_name();

/// The lines of a text, e.g. of Session::describe(), without empty ones.
std::vector<std::string> lines_of(const std::string& text);

/// The most 10^9 multiply-accumulates a second that `threads` cores can do in this arithmetic, measured in registers;
/// nothing where it is not measured.
std::optional<double> peak_gmacs_per_s(DType dtype, int threads);

}  // namespace vitrail::cli
