// What one session adds to a network: its picture size, and where the patches of that size are.
#pragma once

#include <memory>
#include <string>

#include "runtime/weights.hpp"
#include "vitrail/patches.hpp"

namespace vitrail {

/// What a block adds to its attention scores by where query and key are (BEiT: Bao et al. 2021), at one grid size.
struct RelativeBias {
  int rows = 0, columns = 0;  ///< of the grid of patches; token 0 is CLS
  const float* table = nullptr;  ///< [heads, (2·rows − 1)·(2·columns − 1) + 3]: by key minus query, y then x; CLS to
                                 ///< patches, patches to CLS, CLS to itself. Times √head_dim: softmax divides by it

  /// scores [1 + rows · columns] of one query += its biases.
  void add(int head, int query, float* scores) const;
};

struct Plan {
  VitConfig config;                  ///< the network's, with the session's image size and preprocessing
  const float* positions = nullptr;  ///< [N, D], borrowed from the weights where the table has this size; null: rotary
  const float* cos = nullptr;        ///< [N, head_dim / 2], rotary only
  const float* sin = nullptr;        ///< [N, head_dim / 2], rotary only
  std::vector<RelativeBias> biases;  ///< of each block, relative only
  std::unique_ptr<Plan> decoder;     ///< of a masked autoencoder
  std::optional<PatchGrid> grid;     ///< of its pixels
  Storage storage;

  static Result<PatchGrid> pixel_grid(const VitConfig& config, const Kernels& kernels);
};

/// The lengths that memory is laid out for: the largest of encoder and decoder.
struct Extent {
  int tokens = 0, embed_dim = 0, mlp_dim = 0, num_heads = 0, head_dim = 0;
  int patches = 0, patch_size = 0;
  int class_queries = 0;  ///< class tokens times heads, where they attend apart
};
Extent extent_of(const Plan& plan);

/// @param height, width  pixels; 0: the network's own. Any multiple of the patch size, up to the limits of a network.
/// @param name           what error messages call them
Result<Plan> make_plan(const Weights& weights, const Kernels& kernels, int height, int width,
                       const std::string& name = "SessionOptions::image_height, image_width");

/// A table [rows, columns, dim] at another size, as torch.nn.functional.interpolate does it (rule ≠ rotary).
void resample_positions(const float* table, int rows, int columns, int dim, PositionRule rule, int new_rows,
                        int new_columns, float* dst);

}  // namespace vitrail
