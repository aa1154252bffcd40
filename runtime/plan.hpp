// What one session adds to a network: its picture size, and where the patches of that size are.
#pragma once

#include "runtime/weights.hpp"

namespace vitrail {

struct Plan {
  VitConfig config;                  ///< the network's, with the session's image size and preprocessing
  const float* positions = nullptr;  ///< [N, D], borrowed from the weights where the table has this size; null: rotary
  const float* cos = nullptr;        ///< [N, head_dim / 2], rotary only
  const float* sin = nullptr;        ///< [N, head_dim / 2], rotary only
  Storage storage;
};

/// @param height, width  pixels; 0: the network's own. Any multiple of the patch size, up to the limits of a network.
Result<Plan> make_plan(const Weights& weights, int height, int width);

/// A table [rows, columns, dim] at another size, as torch.nn.functional.interpolate does it (rule ≠ rotary).
void resample_positions(const float* table, int rows, int columns, int dim, PositionRule rule, int new_rows,
                        int new_columns, float* dst);

}  // namespace vitrail
