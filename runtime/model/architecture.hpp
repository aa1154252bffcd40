// timm's architecture names: what "vit_base_patch16_224" says about a network.
#pragma once

#include <string>
#include <string_view>

#include "vitrail/error.hpp"

namespace vitrail {

/// The hyper-parameters behind a name, as timm registers them (timm/models/vision_transformer.py, deit.py, eva.py).
struct Architecture {
  std::string family;  ///< "vit", "deit", "dinov2", "dinov3", "clip" or "siglip"
  int embed_dim = 0, num_layers = 0, num_heads = 0, mlp_dim = 0;
  int patch = 0;           ///< pixels
  int image = 0;           ///< pixels; 0 when the name does not say
  bool distilled = false;  ///< has a distillation token and a second head
  bool class_token = true;
  std::string_view pool = "token";  ///< timm's global_pool: "token", "avg" or "map" (a learned query's attention)
  std::string_view activation = "gelu";
  int registers = 0;  ///< positions are those of the patches then
  bool layer_scale = false;
  bool pre_norm = false;    ///< a LayerNorm before the blocks, and no bias on the patch embedding
  bool gated_mlp = false;   ///< SwiGLU
  bool rotary = false;      ///< no position table: DINOv3, of timm's Eva and not its VisionTransformer
  bool rotary_bias = true;  ///< DINOv3: queries and values have a bias
  float layer_norm_eps = 1e-6f;
};

/// An error names the word that is not understood: a variant unknown here may be another network under the same tensor
/// names, so nothing is guessed.
Result<Architecture> parse_architecture(std::string_view name);

}  // namespace vitrail
