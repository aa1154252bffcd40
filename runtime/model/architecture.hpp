// timm's architecture names: what "vit_base_patch16_224" says about a network.
#pragma once

#include <string>
#include <string_view>

#include "vitrail/error.hpp"

namespace vitrail {

/// The hyper-parameters behind a name, as timm registers them (timm/models/vision_transformer.py, deit.py).
struct Architecture {
  std::string family;  ///< "vit" or "deit"
  int embed_dim = 0, num_layers = 0, num_heads = 0, mlp_dim = 0;
  int patch = 0;           ///< pixels
  int image = 0;           ///< pixels; 0 when the name does not say
  bool distilled = false;  ///< has a distillation token and a second head
  bool gap = false;        ///< no CLS token, the head reads the mean of the patch tokens
};

/// An error names the word that is not understood: a variant unknown here may be another network under the same tensor
/// names, so nothing is guessed.
Result<Architecture> parse_architecture(std::string_view name);

}  // namespace vitrail
