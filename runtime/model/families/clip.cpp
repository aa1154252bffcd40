// The vision towers of CLIP (Radford et al. 2021; OpenCLIP where it is published in this layout) and SigLIP (Zhai et
// al. 2023; SigLIP 2 of fixed size is published as "siglip"), alone or with their text towers, which are left out.
#include <nlohmann/json.hpp>

#include "runtime/model/family.hpp"

namespace vitrail {
namespace {

bool is_siglip(const VitConfig& vit) { return vit.family.starts_with("siglip"); }

}  // namespace

HuggingFaceConfig clip_config(const Fields& config) {
  static const Json none = Json::object();
  HuggingFaceConfig out;
  VitConfig& vit = out.vit;
  vit.family = config.text("model_type");
  const bool whole = vit.family == "clip" || vit.family == "siglip", siglip = is_siglip(vit);
  const Fields vision = !whole                        ? config
                        : config.has("vision_config") ? config.object("vision_config")
                                                      : Fields(none, config.file(), config.errors(), "vision_config.");
  check_neutral(vision, {});
  const int kind = whole    ? read_class(config, {siglip ? "SiglipModel" : "CLIPModel"})
                   : siglip ? read_class(config, {"SiglipVisionModel"})
                            : read_class(config, {"CLIPVisionModel", "CLIPVisionModelWithProjection"});
  out.head = HeadKind::none;
  read_sizes(vision, vit, 768, 12, 12, siglip ? 16 : 32, true);
  vit.mlp_dim = vision.integer("intermediate_size", 1, limits::inner, 3072);
  vit.activation = read_activation(vision, siglip ? "gelu_pytorch_tanh" : "quick_gelu");
  vit.layer_norm_eps = static_cast<float>(vision.number("layer_norm_eps", 1e-30, 1, siglip ? 1e-6 : 1e-5));
  if (siglip) {
    vit.has_cls = false;
    vit.pool = Pool::attention;
    if (!vision.boolean("vision_use_head", true)) vit.pool = Pool::mean;
  } else if (whole || kind != 0) {
    const Fields& owner = whole ? config : vision;
    vit.projection_dim = owner.integer("projection_dim", 1, limits::embed_dim, 512);
  }
  out.projection_as_stored = !whole && !siglip && kind < 0;
  return out;
}

NetworkSource clip_network(HuggingFaceConfig config, TensorSet& tensors) {
  NetworkSource out;
  VitConfig& vit = out.config = std::move(config.vit);
  const int d = vit.embed_dim, m = vit.mlp_dim, patches = vit.table_rows * vit.table_columns;
  // transformers 5 writes the towers that stand alone without this prefix; earlier versions, and what is published,
  // with.
  const std::string prefix = tensors.has("vision_model.embeddings.patch_embedding.weight") ? "vision_model." : "";
  const bool siglip = is_siglip(vit);
  if (!siglip) out.cls = tensors.take(prefix + "embeddings.class_embedding", {d});
  out.patch_weight =
      tensors.take(prefix + "embeddings.patch_embedding.weight", {d, vit.channels, vit.patch_height, vit.patch_width});
  if (siglip) out.patch_bias = tensors.take(prefix + "embeddings.patch_embedding.bias", {d});
  out.positions = tensors.take(prefix + "embeddings.position_embedding.weight", {patches + (siglip ? 0 : 1), d});
  if (!siglip) out.pre_norm = tensors.norm(prefix + "pre_layrnorm", d);  // as transformers spells it
  for (int i = 0; i < vit.num_layers && !tensors.errors().failed(); ++i) {
    const std::string layer = prefix + "encoder.layers." + std::to_string(i) + ".";
    BlockSource block;
    block.norm1 = tensors.norm(layer + "layer_norm1", d);
    for (const char* part : {"q_proj", "k_proj", "v_proj"})
      tensors.add_part(block.qkv, layer + "self_attn." + part, d, d);
    block.proj = tensors.linear(layer + "self_attn.out_proj", d, d);
    block.norm2 = tensors.norm(layer + "layer_norm2", d);
    block.fc1 = tensors.linear(layer + "mlp.fc1", m, d);
    block.fc2 = tensors.linear(layer + "mlp.fc2", d, m);
    out.blocks.push_back(std::move(block));
  }
  // CLIP normalises only what it pools; its last_hidden_state is the plain residual stream.
  (siglip ? out.norm : out.pool_norm) = tensors.norm(prefix + "post_layernorm", d);
  if (vit.pool == Pool::attention) {
    const std::string head = prefix + "head.";
    AttentionPoolSource pool;
    pool.probe = tensors.take(head + "probe", {d});
    const TensorView weight = tensors.take(head + "attention.in_proj_weight", {3 * d, d});
    const TensorView bias = tensors.take(head + "attention.in_proj_bias", {3 * d});
    pool.query = {{weight.rows(0, d)}, {bias.rows(0, d)}};
    pool.key_value = {{weight.rows(d, 2 * d)}, {bias.rows(d, 2 * d)}};
    pool.proj = tensors.linear(head + "attention.out_proj", d, d);
    pool.norm = tensors.norm(head + "layernorm", d);
    pool.fc1 = tensors.linear(head + "mlp.fc1", m, d);
    pool.fc2 = tensors.linear(head + "mlp.fc2", d, m);
    out.attention_pool = std::move(pool);
  }
  if (config.projection_as_stored && !tensors.has("visual_projection.weight")) vit.projection_dim = 0;
  if (vit.projection_dim > 0) out.projection = tensors.linear("visual_projection", vit.projection_dim, d, false);
  tensors.ignore(prefix + "embeddings.position_ids");
  for (const char* text : {"text_model.", "text_projection.", "logit_scale", "logit_bias"}) tensors.ignore_all(text);
  tensors.refuse_the_rest();
  return out;
}

}  // namespace vitrail
