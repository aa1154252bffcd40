// DINOv3 ViT (Siméoni et al. 2025): rotary positions on the patches, registers, LayerScale, a gated MLP in the large
// ones.
#include "runtime/model/family.hpp"

namespace vitrail {

HuggingFaceConfig dinov3_config(const Fields& config) {
  HuggingFaceConfig out;
  VitConfig& vit = out.vit;
  vit.family = config.text("model_type");
  check_neutral(config, {"layerscale_value", "num_register_tokens", "mlp_bias"});
  read_class(config, {"DINOv3ViTModel"});
  out.head = HeadKind::none;
  read_sizes(config, vit, 384, 12, 6, 16, true);
  vit.mlp_dim = config.integer("intermediate_size", 1, limits::inner, 1536);
  vit.registers = config.integer("num_register_tokens", 0, 64, 0);
  vit.layer_norm_eps = static_cast<float>(config.number("layer_norm_eps", 1e-30, 1, 1e-5));
  vit.gated_mlp = config.boolean("use_gated_mlp", false);
  if (!vit.gated_mlp)
    vit.activation = read_activation(config, "gelu");
  else if (config.text("hidden_act", "gelu") != "silu")
    config.fail("hidden_act", "\"silu\" (SwiGLU) with \"use_gated_mlp\"", ErrorCode::unsupported);
  out.query_bias = config.boolean("query_bias", true);
  out.key_bias = config.boolean("key_bias", false);
  out.value_bias = config.boolean("value_bias", true);
  out.proj_bias = config.boolean("proj_bias", true);
  out.mlp_bias = config.boolean("mlp_bias", true);
  vit.positions = PositionRule::rotary;
  vit.resizes_itself = true;
  vit.rotary_base = static_cast<float>(config.number("rope_theta", 1e-3, 1e9, 100.0));
  if (vit.embed_dim / vit.num_heads % 4 != 0)
    config.fail_file("width of a head: found " + std::to_string(vit.embed_dim / vit.num_heads) +
                     ", expected a multiple of 4 for rotary positions");
  return out;
}

NetworkSource dinov3_network(HuggingFaceConfig config, TensorSet& tensors) {
  NetworkSource out;
  VitConfig& vit = out.config = std::move(config.vit);
  const int d = vit.embed_dim, m = vit.mlp_dim;
  out.cls = tensors.take("embeddings.cls_token", {d});
  if (vit.registers > 0) out.registers = tensors.take("embeddings.register_tokens", {vit.registers, d});
  out.patch_weight =
      tensors.take("embeddings.patch_embeddings.weight", {d, vit.channels, vit.patch_height, vit.patch_width});
  out.patch_bias = tensors.take("embeddings.patch_embeddings.bias", {d});
  // As published; files made from the state_dict() of transformers ≥ 5 say "model.layer.".
  const std::string layers = tensors.has("model.layer.0.norm1.weight") ? "model.layer." : "layer.";
  for (int i = 0; i < vit.num_layers && !tensors.errors().failed(); ++i) {
    const std::string layer = layers + std::to_string(i) + ".";
    BlockSource block;
    block.norm1 = tensors.norm(layer + "norm1", d);
    tensors.add_part(block.qkv, layer + "attention.q_proj", d, d, config.query_bias);
    tensors.add_part(block.qkv, layer + "attention.k_proj", d, d, config.key_bias);
    tensors.add_part(block.qkv, layer + "attention.v_proj", d, d, config.value_bias);
    block.proj = tensors.linear(layer + "attention.o_proj", d, d, config.proj_bias);
    block.scale1 = tensors.take(layer + "layer_scale1.lambda1", {d});
    block.norm2 = tensors.norm(layer + "norm2", d);
    if (vit.gated_mlp) tensors.add_part(block.fc1, layer + "mlp.gate_proj", m, d, config.mlp_bias);
    tensors.add_part(block.fc1, layer + "mlp.up_proj", m, d, config.mlp_bias);
    block.fc2 = tensors.linear(layer + "mlp.down_proj", d, m, config.mlp_bias);
    block.scale2 = tensors.take(layer + "layer_scale2.lambda1", {d});
    out.blocks.push_back(std::move(block));
  }
  out.norm = tensors.norm("norm", d);
  tensors.ignore("embeddings.mask_token");  // for training on masked patches
  tensors.refuse_the_rest();
  return out;
}

}  // namespace vitrail
