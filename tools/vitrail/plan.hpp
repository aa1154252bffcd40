// What a patch size costs: one row per patch size, and the chart of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vitrail/error.hpp"

namespace vitrail::cli {

/// One patch size. MACs are multiply-accumulates of one picture.
struct PatchCost {
  int patch = 0;              ///< P, pixels
  int rows = 0, columns = 0;  ///< patches: N = rows · columns
  int tokens = 0;             ///< T = N and the CLS token
  int patch_elements = 0;     ///< P²·C
  std::uint64_t parameters = 0;
  std::uint64_t linear_macs = 0;                         ///< every layer but attention: ∝ N
  std::uint64_t attention_macs = 0;                      ///< Q·Kᵀ and P·V: ∝ N²
  std::uint64_t activation_bytes = 0;                    ///< the largest tensors that live at the same time
  double linear_ms = 0, attention_ms = 0, other_ms = 0;  ///< predicted
  std::optional<double> measured_ms;
  std::string trade_off;  ///< one line

  int patches() const { return rows * columns; }
  double predicted_ms() const { return linear_ms + attention_ms + other_ms; }
  double attention_share() const {
    return static_cast<double>(attention_macs) / static_cast<double>(linear_macs + attention_macs);
  }
};

/// Bars of predicted time, split into what grows with N and what grows with N², over the picture cut into its patches.
Status save_plan_chart(const std::vector<PatchCost>& costs, const std::string& title, const std::string& subtitle,
                       const std::string& path);

}  // namespace vitrail::cli
