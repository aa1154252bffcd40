// BEiT (Bao et al. 2021) and data2vec-vision (Baevski et al. 2022): where patches are is a bias on the attention
// scores, one table a block or one for all; keys have no bias; LayerScale; the mean of the patches is pooled.
#include "runtime/model/family.hpp"

namespace vitrail {

HuggingFaceConfig beit_config(const Fields& config) {
  HuggingFaceConfig out;
  VitConfig& vit = out.vit;
  vit.family = config.text("model_type");
  check_neutral(config, {"use_absolute_position_embeddings", "use_relative_position_bias",
                         "use_shared_relative_position_bias", "use_mean_pooling", "layer_scale_init_value"});
  const int kind = vit.family == "beit"
                       ? read_class(config, {"BeitModel", "BeitForImageClassification"})
                       : read_class(config, {"Data2VecVisionModel", "Data2VecVisionForImageClassification"});
  out.head = kind < 0 ? HeadKind::as_stored : kind == 0 ? HeadKind::none : HeadKind::classifier;
  read_sizes(config, vit, 768, 12, 12, 16, false);
  vit.mlp_dim = config.integer("intermediate_size", 1, limits::inner, 3072);
  vit.activation = read_activation(config, "gelu");
  vit.layer_norm_eps = static_cast<float>(config.number("layer_norm_eps", 1e-30, 1, 1e-12));
  out.layer_scale = config.number("layer_scale_init_value", -1, 1e3, 0.1) > 0;
  vit.pool = config.boolean("use_mean_pooling", true) ? Pool::mean : Pool::cls;
  vit.positions = PositionRule::relative;
  if (config.boolean("use_absolute_position_embeddings", false))
    config.fail("use_absolute_position_embeddings", "false (a table beside the relative bias is not run)",
                ErrorCode::unsupported);
  out.shared_bias = config.boolean("use_shared_relative_position_bias", false);
  if (config.boolean("use_relative_position_bias", false) == out.shared_bias)
    config.fail("use_relative_position_bias",
                std::string(out.shared_bias ? "false" : "true") + ", or it without the shared one (others are not run)",
                ErrorCode::unsupported);
  if (out.head != HeadKind::none) read_classes(config, vit);
  return out;
}

NetworkSource beit_network(HuggingFaceConfig config, TensorSet& tensors) {
  NetworkSource out;
  VitConfig& vit = out.config = std::move(config.vit);
  const int d = vit.embed_dim, m = vit.mlp_dim;
  const std::string base = vit.family == "beit" ? "beit." : "data2vec_vision.";
  const std::string prefix = tensors.has(base + "embeddings.cls_token") ? base : "";
  const int distances = (2 * vit.table_rows - 1) * (2 * vit.table_columns - 1) + 3;
  const auto bias = [&](const std::string& of) {
    tensors.ignore(of + "relative_position_bias.relative_position_index");  // follows from the grid
    return tensors.take(of + "relative_position_bias.relative_position_bias_table", {distances, vit.num_heads});
  };
  HeadKind head = config.head;
  if (head == HeadKind::as_stored) head = tensors.has("classifier.weight") ? HeadKind::classifier : HeadKind::none;

  out.cls = tensors.take(prefix + "embeddings.cls_token", {d});
  const std::string projection = prefix + "embeddings.patch_embeddings.projection";
  out.patch_weight = tensors.take(projection + ".weight", {d, vit.channels, vit.patch_height, vit.patch_width});
  out.patch_bias = tensors.take(projection + ".bias", {d});
  std::optional<TensorView> shared;
  if (config.shared_bias) shared = bias(prefix + "encoder.");
  for (int i = 0; i < vit.num_layers && !tensors.errors().failed(); ++i) {
    const std::string layer = prefix + "encoder.layer." + std::to_string(i) + ".";
    BlockSource block;
    block.norm1 = tensors.norm(layer + "layernorm_before", d);
    for (const char* part : {"query", "key", "value"})
      tensors.add_part(block.qkv, layer + "attention.attention." + part, d, d, *part != 'k');
    block.bias = shared ? *shared : bias(layer + "attention.attention.");
    block.proj = tensors.linear(layer + "attention.output.dense", d, d);
    block.norm2 = tensors.norm(layer + "layernorm_after", d);
    block.fc1 = tensors.linear(layer + "intermediate.dense", m, d);
    block.fc2 = tensors.linear(layer + "output.dense", d, m);
    if (config.layer_scale) {
      block.scale1 = tensors.take(layer + "lambda_1", {d});
      block.scale2 = tensors.take(layer + "lambda_2", {d});
    }
    out.blocks.push_back(std::move(block));
  }
  // Either every token is normalised or the pooled vector.
  if (vit.pool == Pool::mean)
    out.pool_norm = tensors.norm(prefix + "pooler.layernorm", d);
  else
    out.norm = tensors.norm(prefix + "layernorm", d);
  if (head == HeadKind::none) {
    vit.num_labels = 0;
    vit.labels.clear();
  } else {
    out.head = tensors.linear("classifier", vit.num_labels, d);
  }
  tensors.ignore(prefix + "embeddings.mask_token");  // for training on masked patches
  tensors.refuse_the_rest();
  return out;
}

}  // namespace vitrail
