// DINOv2 (Oquab et al. 2023) and DINOv2 with registers (Darcet et al. 2023): LayerScale, SwiGLU in the giant one.
#include "runtime/model/family.hpp"

namespace vitrail {

HuggingFaceConfig dinov2_config(const Fields& config) {
  HuggingFaceConfig out;
  VitConfig& vit = out.vit;
  vit.family = config.text("model_type");
  const bool registers = vit.family == "dinov2_with_registers";
  check_neutral(config, {"layerscale_value", "use_swiglu_ffn", "num_register_tokens"});
  const int kind = registers
                       ? read_class(config, {"Dinov2WithRegistersModel", "Dinov2WithRegistersForImageClassification"})
                       : read_class(config, {"Dinov2Model", "Dinov2ForImageClassification"});
  out.head = kind < 0 ? HeadKind::as_stored : kind == 0 ? HeadKind::none : HeadKind::classifier;
  read_sizes(config, vit, 768, 12, 12, registers ? 16 : 14, true);
  vit.registers = registers ? config.integer("num_register_tokens", 0, 64, 4) : 0;
  if (!registers && config.integer("num_register_tokens", 0, 64, 0) != 0)
    config.fail("num_register_tokens", "0: \"dinov2_with_registers\" has them", ErrorCode::unsupported);
  vit.activation = read_activation(config, "gelu");
  vit.layer_norm_eps = static_cast<float>(config.number("layer_norm_eps", 1e-30, 1, 1e-6));
  vit.gated_mlp = config.boolean("use_swiglu_ffn", false);
  const double wide = vit.embed_dim * config.number("mlp_ratio", 1e-3, 1e3, 4);
  if (wide >= limits::inner + 1) config.fail("mlp_ratio", "at most " + std::to_string(limits::inner) + " inner values");
  vit.mlp_dim = static_cast<int>(wide);
  if (vit.gated_mlp) vit.mlp_dim = (static_cast<int>(vit.mlp_dim * 2 / 3.0) + 7) / 8 * 8;
  if (vit.mlp_dim < 1) config.fail("mlp_ratio", "at least one inner value");
  out.qkv_bias = config.boolean("qkv_bias", true);
  // transformers interpolates without antialiasing for the one and with it for the other.
  vit.positions = registers ? PositionRule::bicubic_antialias : PositionRule::bicubic;
  vit.resizes_itself = true;
  if (out.head != HeadKind::none) read_classes(config, vit);
  return out;
}

NetworkSource dinov2_network(HuggingFaceConfig config, TensorSet& tensors) {
  NetworkSource out;
  VitConfig& vit = out.config = std::move(config.vit);
  const int d = vit.embed_dim, m = vit.mlp_dim;
  const std::string base = vit.family + ".";
  const std::string prefix = tensors.has(base + "embeddings.cls_token") ? base : "";
  HeadKind head = config.head;
  if (head == HeadKind::as_stored) head = tensors.has("classifier.weight") ? HeadKind::classifier : HeadKind::none;

  out.cls = tensors.take(prefix + "embeddings.cls_token", {d});
  if (vit.registers > 0) out.registers = tensors.take(prefix + "embeddings.register_tokens", {vit.registers, d});
  out.positions = tensors.take(prefix + "embeddings.position_embeddings", {vit.table_rows * vit.table_columns + 1, d});
  const std::string projection = prefix + "embeddings.patch_embeddings.projection";
  out.patch_weight = tensors.take(projection + ".weight", {d, vit.channels, vit.patch_height, vit.patch_width});
  out.patch_bias = tensors.take(projection + ".bias", {d});
  for (int i = 0; i < vit.num_layers && !tensors.errors().failed(); ++i) {
    const std::string layer = prefix + "encoder.layer." + std::to_string(i) + ".";
    BlockSource block;
    block.norm1 = tensors.norm(layer + "norm1", d);
    for (const char* part : {"query", "key", "value"})
      tensors.add_part(block.qkv, layer + "attention.attention." + part, d, d, config.qkv_bias);
    block.proj = tensors.linear(layer + "attention.output.dense", d, d);
    block.scale1 = tensors.take(layer + "layer_scale1.lambda1", {d});
    block.norm2 = tensors.norm(layer + "norm2", d);
    block.fc1 =
        vit.gated_mlp ? tensors.linear(layer + "mlp.weights_in", 2 * m, d) : tensors.linear(layer + "mlp.fc1", m, d);
    block.fc2 = tensors.linear(layer + (vit.gated_mlp ? "mlp.weights_out" : "mlp.fc2"), d, m);
    block.scale2 = tensors.take(layer + "layer_scale2.lambda1", {d});
    out.blocks.push_back(std::move(block));
  }
  out.norm = tensors.norm(prefix + "layernorm", d);
  if (head == HeadKind::none) {
    vit.num_labels = 0;
    vit.labels.clear();
  } else {
    vit.pool = Pool::cls_and_mean;
    out.head = tensors.linear("classifier", vit.num_labels, 2 * d);
  }
  tensors.ignore(prefix + "embeddings.mask_token");  // for training on masked patches
  tensors.refuse_the_rest();
  return out;
}

}  // namespace vitrail
