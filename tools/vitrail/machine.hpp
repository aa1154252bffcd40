// What this machine is.
#pragma once

#include <string>
#include <vector>

namespace vitrail::cli {

/// The CPU as the system names it, e.g. "Intel(R) Xeon(R) Gold 6338"; "unknown" where it has no name.
std::string cpu_name();

/// The lines of a text, e.g. of Session::describe(), without empty ones.
std::vector<std::string> lines_of(const std::string& text);

}  // namespace vitrail::cli
