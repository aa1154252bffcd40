// Tensor names of timm's VisionTransformer and VisionTransformerDistilled.
#include "runtime/model/names.hpp"

namespace vitrail {
namespace {

/// What timm builds follows from names and arguments; what a file holds must agree.
void expect(const TensorSet& tensors, bool agree, const std::string& tensor, bool present, const std::string& because) {
  if (!agree)
    tensors.fail("tensor " + in_quotes(tensor) + " is " + (present ? "there" : "missing") + ", but " + because);
}

}  // namespace

NetworkSource timm_network(TimmConfig config, TensorSet& tensors) {
  NetworkSource out;
  VitConfig& vit = out.config = std::move(config.vit);
  const int d = vit.embed_dim;
  tensors.refuse_known_variants();

  const bool has_cls = tensors.has("cls_token");
  expect(tensors, has_cls == vit.has_cls, "cls_token", has_cls,
         config.class_token ? "\"model_args.class_token\" says otherwise" : "the architecture's name says otherwise");
  if (vit.pool == Pool::cls && !vit.has_cls) tensors.fail("global_pool \"token\" needs the tensor \"cls_token\"");
  if (vit.has_dist && vit.pool != Pool::cls) tensors.fail("a distilled network needs global_pool \"token\"");

  vit.positions = PositionRule::bicubic_antialias;  // timm.layers.resample_abs_pos_embed
  vit.table_rows = vit.grid_rows();
  vit.table_columns = vit.grid_columns();
  const std::int64_t n = vit.num_patches(), t = vit.num_tokens();
  auto positions = tensors.shape("pos_embed");
  const bool patches_only = positions.size() >= 2 && positions[positions.size() - 2] == n;
  vit.position_prefix = t == n || !patches_only;
  if (t != n && config.no_embed_class && *config.no_embed_class == vit.position_prefix && tensors.has("pos_embed"))
    tensors.fail("tensor \"pos_embed\": found shape " + shape_text(positions) +
                 ", but \"model_args.no_embed_class\" says otherwise");
  out.positions = tensors.take("pos_embed", {vit.position_prefix ? t : n, d});
  if (vit.has_cls) out.cls = tensors.take("cls_token", {d});
  if (vit.has_dist) out.dist = tensors.take("dist_token", {d});
  out.patch_weight = tensors.take("patch_embed.proj.weight", {d, vit.channels, vit.patch_height, vit.patch_width});
  out.patch_bias = tensors.take("patch_embed.proj.bias", {d});

  // The width of the MLP is in the first block; timm rounds embed_dim · mlp_ratio down.
  auto fc1 = tensors.shape("blocks.0.mlp.fc1.weight");
  vit.mlp_dim = 4 * d;
  if (fc1.size() == 2 && fc1[0] >= 1 && fc1[0] < limits::inner) vit.mlp_dim = static_cast<int>(fc1[0]);
  if (config.mlp_ratio && static_cast<int>(d * *config.mlp_ratio) != vit.mlp_dim)
    tensors.fail("tensor \"blocks.0.mlp.fc1.weight\": found shape " + shape_text(fc1) + ", expected [" +
                 std::to_string(static_cast<int>(d * *config.mlp_ratio)) + ", " + std::to_string(d) +
                 "] as \"model_args.mlp_ratio\" says");
  const bool qkv_bias = config.qkv_bias.value_or(tensors.has("blocks.0.attn.qkv.bias"));
  for (int i = 0; i < vit.num_layers && !tensors.errors().failed(); ++i) {
    const std::string prefix = "blocks." + std::to_string(i) + ".";
    BlockSource block;
    block.norm1 = tensors.norm(prefix + "norm1", d);
    block.qkv = tensors.linear(prefix + "attn.qkv", 3 * d, d, qkv_bias);
    block.proj = tensors.linear(prefix + "attn.proj", d, d);
    block.norm2 = tensors.norm(prefix + "norm2", d);
    block.fc1 = tensors.linear(prefix + "mlp.fc1", vit.mlp_dim, d);
    block.fc2 = tensors.linear(prefix + "mlp.fc2", d, vit.mlp_dim);
    out.blocks.push_back(std::move(block));
  }

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
