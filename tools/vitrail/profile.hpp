// Where the time of a run goes: a table of operations, and a trace for a browser's trace viewer.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "vitrail/session.hpp"

namespace vitrail::cli {

/// The operations of many runs, summed by name in the order they first appear.
class OperationSums {
 public:
  void add(std::span<const Operation> run);
  /// Time per run, share, rate, share of `peak_gmacs_per_s` (0: unknown) and kernel.
  void print(double peak_gmacs_per_s) const;
  nlohmann::ordered_json to_json() const;

 private:
  struct Sum {
    std::string name, kernel;
    std::size_t calls = 0;
    double ms = 0;
    std::uint64_t macs = 0, bytes = 0;
  };
  std::vector<Sum> sums_;
  std::size_t runs_ = 0;
};

/// One run as Chrome's trace event format ("X" events in microseconds), for chrome://tracing or ui.perfetto.dev.
Status save_trace(std::span<const Operation> run, const std::string& path);

}  // namespace vitrail::cli
