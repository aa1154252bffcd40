// config.json and preprocessor_config.json → VitConfig, as far as they tell. Errors go to the Fields' FirstError.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/model/json_reader.hpp"
#include "runtime/model/network.hpp"

namespace vitrail {

/// What a configuration may ask for. Larger numbers would overflow sums or are damage.
namespace limits {
constexpr int embed_dim = 8192;
constexpr int layers = 200;
constexpr int head_dim = 256;
constexpr int inner = GemmU8S8Tile::largest_k;  ///< K of any matrix product: patch size · channels, mlp_dim
constexpr int image = 8192;                     ///< pixels per side
constexpr int patch = 4096;                     ///< pixels per side
constexpr int tokens = 65536;
constexpr int labels = 1'000'000;
}  // namespace limits

/// Checks what numbers say together (heads divide D, patches cover the image, K and T in range).
/// @param where  begins the messages
void check_dimensions(const VitConfig& config, const std::string& where, FirstError& errors);

/// Names of `count` classes from an object {"0": name, …} or an array under `key`; empty when it is absent.
std::vector<std::string> read_labels(const Fields& fields, std::string_view key, int count);

enum class HeadKind { none, classifier, with_teacher, as_stored };

struct HuggingFaceConfig {
  VitConfig vit;
  bool qkv_bias = true;                                        ///< one flag for all three …
  bool query_bias = true, key_bias = true, value_bias = true;  ///< … or one each (DINOv3)
  bool proj_bias = true, mlp_bias = true;
  bool layer_scale = true, shared_bias = false;  ///< BEiT: there is one; one bias table for all blocks
  bool projection_as_stored = false;  ///< the file does not say: there is a projection where there is its tensor
  HeadKind head = HeadKind::as_stored;
};

/// @param config  the network, for its channels and family; a family that resizes its own positions takes the image
///                size from the preprocessor, another must agree with it
PreprocessConfig huggingface_preprocess(const Fields& preprocessor, VitConfig& config);

struct TimmConfig {
  VitConfig vit;  ///< mlp_dim, has_cls, position_prefix are for the tensors to say
  std::optional<int> num_classes;
  std::optional<double> mlp_ratio;
  std::optional<bool> class_token, no_embed_class, fc_norm, qkv_bias;
  bool distilled = false, layer_scale = false, pre_norm = false;
};
TimmConfig timm_config(const Fields& config);

/// @param pretrained_cfg  timm's default configuration of an architecture
/// @param config  sets its timm_crop
PreprocessConfig timm_preprocess(const Fields& pretrained_cfg, VitConfig& config);

/// timm's evaluation transform for pictures of a size (timm 0.8 and later): a resize to floor(size / pct) as the mode
/// says, then a centre crop of `size`. With the mode center it is bilinear where that is not square, whatever the
/// filter is.
PreprocessConfig timm_resize(int height, int width, const TimmCrop& crop);

}  // namespace vitrail
