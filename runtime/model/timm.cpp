// Tensor names of timm's VisionTransformer, VisionTransformerDistilled, and Eva as far as DINOv3 needs it.
#include "runtime/model/timm.hpp"

#include <algorithm>

namespace vitrail {
namespace {

/// What timm builds follows from names and arguments; what a file holds must agree.
void expect(const TensorSet& tensors, bool agree, const std::string& tensor, bool present, const std::string& because) {
  if (!agree)
    tensors.fail("tensor " + in_quotes(tensor) + " is " + (present ? "there" : "missing") + ", but " + because);
}

/// q, k, v, a third of the rows each: Eva keeps biases of queries and values apart from their weights.
LinearSource split_qkv(TensorSet& tensors, const std::string& prefix, int d, bool bias) {
  const TensorView weight = tensors.take(prefix + ".qkv.weight", {3 * d, d});
  LinearSource out;
  for (const char part : {'q', 'k', 'v'}) {
    out.weights.push_back(weight.rows(static_cast<std::int64_t>(out.weights.size()) * d, d));
    const bool has_bias = bias && part != 'k';
    out.biases.push_back(has_bias ? std::optional(tensors.take(prefix + "." + part + "_bias", {d})) : std::nullopt);
  }
  return out;
}

BlockSource block(TensorSet& tensors, const std::string& prefix, const TimmConfig& config, const VitConfig& vit,
                  bool qkv_bias) {
  const int d = vit.embed_dim, m = vit.mlp_dim;
  const bool eva = vit.positions == PositionRule::rotary;
  BlockSource out;
  out.norm1 = tensors.norm(prefix + "norm1", d);
  out.qkv =
      eva ? split_qkv(tensors, prefix + "attn", d, qkv_bias) : tensors.linear(prefix + "attn.qkv", 3 * d, d, qkv_bias);
  out.proj = tensors.linear(prefix + "attn.proj", d, d);
  out.norm2 = tensors.norm(prefix + "norm2", d);
  if (eva && vit.gated_mlp)
    for (const char* part : {"mlp.fc1_g", "mlp.fc1_x"}) tensors.add_part(out.fc1, prefix + part, m, d);
  else
    out.fc1 = tensors.linear(prefix + "mlp.fc1", vit.gated_mlp ? 2 * m : m, d);
  out.fc2 = tensors.linear(prefix + "mlp.fc2", d, m);
  if (config.layer_scale) {
    out.scale1 = tensors.take(prefix + (eva ? "gamma_1" : "ls1.gamma"), {d});
    out.scale2 = tensors.take(prefix + (eva ? "gamma_2" : "ls2.gamma"), {d});
  }
  return out;
}

/// timm's AttentionPoolLatent.
AttentionPoolSource attention_pool(TensorSet& tensors, const VitConfig& vit) {
  const int d = vit.embed_dim, m = vit.mlp_dim;
  AttentionPoolSource out;
  out.probe = tensors.take("attn_pool.latent", {d});
  out.query = tensors.linear("attn_pool.q", d, d);
  out.key_value = tensors.linear("attn_pool.kv", 2 * d, d);
  out.proj = tensors.linear("attn_pool.proj", d, d);
  out.norm = tensors.norm("attn_pool.norm", d);
  out.fc1 = tensors.linear("attn_pool.mlp.fc1", m, d);
  out.fc2 = tensors.linear("attn_pool.mlp.fc2", d, m);
  return out;
}

}  // namespace

NetworkSource timm_network(TimmConfig config, TensorSet& tensors) {
  NetworkSource out;
  VitConfig& vit = out.config = std::move(config.vit);
  const int d = vit.embed_dim;
  const bool rotary = vit.positions == PositionRule::rotary;
  const auto own = [](bool is, std::string_view part) { return is ? part : std::string_view(); };
  tensors.refuse_known_variants({own(config.layer_scale && !rotary, "ls1"), own(config.layer_scale && !rotary, "ls2"),
                                 own(config.layer_scale && rotary, "gamma_1"),
                                 own(config.layer_scale && rotary, "gamma_2"), own(vit.registers > 0, "reg_token"),
                                 own(config.pre_norm, "norm_pre"), own(vit.pool == Pool::attention, "attn_pool")});

  const bool has_cls = tensors.has("cls_token");
  expect(tensors, has_cls == vit.has_cls, "cls_token", has_cls,
         config.class_token ? "\"model_args.class_token\" says otherwise" : "the architecture's name says otherwise");
  if (vit.pool == Pool::cls && !vit.has_cls) tensors.fail("global_pool \"token\" needs the tensor \"cls_token\"");
  if (vit.has_dist && vit.pool != Pool::cls) tensors.fail("a distilled network needs global_pool \"token\"");

  vit.table_rows = vit.grid_rows();
  vit.table_columns = vit.grid_columns();
  if (!rotary) {
    vit.positions = PositionRule::bicubic_antialias;  // timm.layers.resample_abs_pos_embed
    const std::int64_t n = vit.num_patches(), t = n + vit.prefix_tokens() - vit.registers;
    auto positions = tensors.shape("pos_embed");
    const bool patches_only = positions.size() >= 2 && positions[positions.size() - 2] == n;
    vit.position_prefix = t == n || !patches_only;
    if (t != n && config.no_embed_class && *config.no_embed_class == vit.position_prefix && tensors.has("pos_embed"))
      tensors.fail("tensor \"pos_embed\": found shape " + shape_text(positions) +
                   (vit.registers > 0 && vit.position_prefix
                        ? ", expected one position per patch (" + std::to_string(n) + "): registers have none"
                        : ", but \"model_args.no_embed_class\" says otherwise"));
    out.positions = tensors.take("pos_embed", {vit.position_prefix ? t : n, d});
  }
  if (vit.has_cls) out.cls = tensors.take("cls_token", {d});
  if (vit.has_dist) out.dist = tensors.take("dist_token", {d});
  if (vit.registers > 0) out.registers = tensors.take("reg_token", {vit.registers, d});
  out.patch_weight = tensors.take("patch_embed.proj.weight", {d, vit.channels, vit.patch_height, vit.patch_width});
  if (!config.pre_norm) out.patch_bias = tensors.take("patch_embed.proj.bias", {d});
  if (config.pre_norm) out.pre_norm = tensors.norm("norm_pre", d);

  // The width of the MLP is in the first block; timm rounds embed_dim · mlp_ratio down.
  const bool parts = rotary && vit.gated_mlp;  // Eva's SwiGLU has two tensors where the other has one
  const std::string first = std::string("blocks.0.mlp.") + (parts ? "fc1_g" : "fc1") + ".weight";
  auto fc1 = tensors.shape(first);
  std::int64_t rows = 4 * d;
  if (fc1.size() == 2 && fc1[0] >= 1 && fc1[0] <= limits::inner) rows = fc1[0];
  if (config.mlp_ratio && static_cast<int>(d * *config.mlp_ratio) != rows)
    tensors.fail("tensor " + in_quotes(first) + ": found shape " + shape_text(fc1) + ", expected [" +
                 std::to_string(static_cast<int>(d * *config.mlp_ratio)) + ", " + std::to_string(d) +
                 "] as \"model_args.mlp_ratio\" says");
  if (vit.gated_mlp && !parts && rows % 2 != 0)
    tensors.fail("tensor " + in_quotes(first) + ": found shape " + shape_text(fc1) + ", expected an even first length");
  vit.mlp_dim = std::max(1, static_cast<int>(vit.gated_mlp && !parts ? rows / 2 : rows));
  const bool qkv_bias = config.qkv_bias.value_or(tensors.has("blocks.0.attn.qkv.bias"));
  for (int i = 0; i < vit.num_layers && !tensors.errors().failed(); ++i)
    out.blocks.push_back(block(tensors, "blocks." + std::to_string(i) + ".", config, vit, qkv_bias));
  if (vit.pool == Pool::attention) out.attention_pool = attention_pool(tensors, vit);

  // timm normalises either every token, or (fc_norm, its default with a mean) only the pooled vector.
  const bool fc_norm = config.fc_norm.value_or(vit.pool == Pool::mean && tensors.has("fc_norm.weight"));
  if (fc_norm) {
    out.pool_norm = tensors.norm("fc_norm", d);
  } else {
    out.norm = tensors.norm("norm", d);
  }

  auto head = tensors.shape("head.weight");
  vit.num_labels =
      config.num_classes.value_or(head.size() == 2 && head[0] <= limits::labels ? static_cast<int>(head[0]) : 0);
  if (vit.num_labels > 0) {
    out.head = tensors.linear("head", vit.num_labels, d);
    if (vit.has_dist) out.head_dist = tensors.linear("head_dist", vit.num_labels, d);
  }
  tensors.refuse_the_rest();
  return out;
}

}  // namespace vitrail
