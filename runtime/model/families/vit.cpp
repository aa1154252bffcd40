// ViT (Dosovitskiy et al. 2020) and DeiT (Touvron et al. 2020), and what differs from ViT by flags only: ViT-MSN
// (Assran et al. 2022), I-JEPA (Assran et al. 2023: no CLS token) and ViT-MAE (He et al. 2021).
#include "runtime/model/family.hpp"

namespace vitrail {
namespace {

/// Names inside a block, after "<layers><N>.".
struct BlockNames {
  std::string layers, q, k, v, o, fc1, fc2;
};

/// As published on the Hub and as save_pretrained() writes them.
const BlockNames published = {"encoder.layer.",
                              "attention.attention.query",
                              "attention.attention.key",
                              "attention.attention.value",
                              "attention.output.dense",
                              "intermediate.dense",
                              "output.dense"};
/// The module names of transformers ≥ 5.10, found in files made from its state_dict().
const BlockNames modules = {"layers.",          "attention.q_proj", "attention.k_proj", "attention.v_proj",
                            "attention.o_proj", "mlp.fc1",          "mlp.fc2"};

BlockSource block(TensorSet& tensors, const BlockNames& names, const std::string& prefix, int d, int m, bool qkv_bias) {
  BlockSource out;
  out.norm1 = tensors.norm(prefix + "layernorm_before", d);
  for (const std::string* part : {&names.q, &names.k, &names.v})
    tensors.add_part(out.qkv, prefix + *part, d, d, qkv_bias);
  out.proj = tensors.linear(prefix + names.o, d, d);
  out.norm2 = tensors.norm(prefix + "layernorm_after", d);
  out.fc1 = tensors.linear(prefix + names.fc1, m, d);
  out.fc2 = tensors.linear(prefix + names.fc2, d, m);
  return out;
}

DecoderSource decoder(TensorSet& tensors, const VitConfig& vit, bool qkv_bias) {
  const DecoderConfig& c = *vit.decoder;
  DecoderSource out;
  out.embed = tensors.linear("decoder.decoder_embed", c.embed_dim, vit.embed_dim);
  out.mask_token = tensors.take("decoder.mask_token", {c.embed_dim});
  out.positions = tensors.take("decoder.decoder_pos_embed", {vit.table_rows * vit.table_columns + 1, c.embed_dim});
  BlockNames names = published;
  names.layers = "decoder.decoder_layers.";
  if (!tensors.has(names.layers + "0." + names.q + ".weight")) {
    names = modules;
    names.layers = "decoder.decoder_layers.";
  }
  for (int i = 0; i < c.num_layers && !tensors.errors().failed(); ++i)
    out.blocks.push_back(
        block(tensors, names, names.layers + std::to_string(i) + ".", c.embed_dim, c.mlp_dim, qkv_bias));
  out.norm = tensors.norm("decoder.decoder_norm", c.embed_dim);
  out.pixels = tensors.linear("decoder.decoder_pred", vit.patch_size(), c.embed_dim);
  return out;
}

HeadKind head_kind(const Fields& config, const std::string& family) {
  int kind = -1;
  if (family == "vit_msn")
    kind = read_class(config, {"ViTMSNModel", "ViTMSNForImageClassification"});
  else if (family == "ijepa")
    kind = read_class(config, {"IJepaModel", "IJepaForImageClassification"});
  else if (family == "vit_mae")
    return read_class(config, {"ViTMAEModel", "ViTMAEForPreTraining"}), HeadKind::none;
  else  // either name under either model_type: the tensors decide
    kind = read_class(config, {"ViTModel", "ViTForImageClassification", "DeiTForImageClassificationWithTeacher",
                               "DeiTModel", "DeiTForImageClassification"});
  if (kind >= 3) kind -= 3;
  return kind < 0    ? HeadKind::as_stored
         : kind == 0 ? HeadKind::none
         : kind == 1 ? HeadKind::classifier
                     : HeadKind::with_teacher;
}

}  // namespace

HuggingFaceConfig vit_config(const Fields& config) {
  HuggingFaceConfig out;
  VitConfig& vit = out.vit;
  vit.family = config.text("model_type");
  out.head = head_kind(config, vit.family);
  check_neutral(config, {});
  read_sizes(config, vit, 768, 12, 12, vit.family == "ijepa" ? 14 : 16, false);
  vit.mlp_dim = config.integer("intermediate_size", 1, limits::inner, 3072);
  vit.activation = read_activation(config, "gelu");
  vit.layer_norm_eps =
      static_cast<float>(config.number("layer_norm_eps", 1e-30, 1, vit.family == "vit_msn" ? 1e-6 : 1e-12));
  out.qkv_bias = config.boolean("qkv_bias", true);
  vit.has_dist = vit.family == "deit";
  if (vit.family == "ijepa") {
    vit.has_cls = false;
    vit.pool = Pool::mean;
  }
  if (out.head != HeadKind::none) read_classes(config, vit);
  if (vit.family == "vit_mae") {
    vit.decoder = DecoderConfig{.embed_dim = config.integer("decoder_hidden_size", 1, limits::embed_dim, 512),
                                .num_layers = config.integer("decoder_num_hidden_layers", 1, limits::layers, 8),
                                .num_heads = config.integer("decoder_num_attention_heads", 1, limits::embed_dim, 16),
                                .mlp_dim = config.integer("decoder_intermediate_size", 1, limits::inner, 2048),
                                .mask_ratio = config.number("mask_ratio", 0, 1, 0.75),
                                .norm_pix_loss = config.boolean("norm_pix_loss", false)};
    if (vit.decoder->norm_pix_loss && vit.patch_size() == 1)
      config.fail("norm_pix_loss", "false: patches of one sample have no deviation");
    const int width = vit.decoder->embed_dim / vit.decoder->num_heads;
    if (vit.decoder->embed_dim % vit.decoder->num_heads != 0 || width > limits::head_dim)
      config.fail("decoder_hidden_size", "a multiple of \"decoder_num_attention_heads\" (" +
                                             std::to_string(vit.decoder->num_heads) + "), at most " +
                                             std::to_string(limits::head_dim) + " wide each");
  }
  if (config.text("pooler_act", "tanh") != "tanh") config.fail("pooler_act", "\"tanh\"", ErrorCode::unsupported);
  if (config.integer("pooler_output_size", 1, limits::embed_dim, vit.embed_dim) != vit.embed_dim)
    config.fail("pooler_output_size", std::to_string(vit.embed_dim) + ", the hidden size", ErrorCode::unsupported);
  return out;
}

NetworkSource vit_network(HuggingFaceConfig config, TensorSet& tensors) {
  NetworkSource out;
  VitConfig& vit = out.config = std::move(config.vit);
  const int d = vit.embed_dim;
  tensors.refuse_known_variants({vit.family == "vit_mae" ? "decoder" : ""});

  // ViTModel's own files have no prefix; those of networks built on it have "vit.", "deit." or "ijepa.".
  const std::string base = (vit.family == "deit" || vit.family == "ijepa" ? vit.family : "vit") + ".";
  const std::string prefix = tensors.has(base + "embeddings.position_embeddings") ? base : "";
  HeadKind head = config.head;
  if (head == HeadKind::as_stored)
    head = tensors.has("cls_classifier.weight") ? HeadKind::with_teacher
           : tensors.has("classifier.weight")   ? HeadKind::classifier
                                                : HeadKind::none;

  if (head == HeadKind::with_teacher && !vit.has_dist)
    tensors.fail("found two heads (\"cls_classifier\", \"distillation_classifier\") in a network of \"model_type\" \"" +
                     vit.family + "\", expected \"deit\", whose distillation token the second one reads",
                 ErrorCode::unsupported);
  if (vit.has_cls) out.cls = tensors.take(prefix + "embeddings.cls_token", {d});
  if (vit.has_dist) out.dist = tensors.take(prefix + "embeddings.distillation_token", {d});
  out.positions = tensors.take(prefix + "embeddings.position_embeddings",
                               {vit.table_rows * vit.table_columns + vit.prefix_tokens(), d});
  const std::string projection = prefix + "embeddings.patch_embeddings.projection";
  out.patch_weight = tensors.take(projection + ".weight", {d, vit.channels, vit.patch_height, vit.patch_width});
  out.patch_bias = tensors.take(projection + ".bias", {d});

  const BlockNames& names = tensors.has(prefix + modules.layers + "0.layernorm_before.weight") ? modules : published;
  // transformers 5.12 writes ViT-MSN classifiers' layers, and nothing else of them, without the prefix.
  const bool bare = vit.family == "vit_msn" && tensors.has(names.layers + "0.layernorm_before.weight");
  const std::string layers = (bare ? "" : prefix) + names.layers;
  for (int i = 0; i < vit.num_layers && !tensors.errors().failed(); ++i)
    out.blocks.push_back(block(tensors, names, layers + std::to_string(i) + ".", d, vit.mlp_dim, config.qkv_bias));
  out.norm = tensors.norm(prefix + "layernorm", d);

  if (head == HeadKind::none) {
    vit.num_labels = 0;
    vit.labels.clear();
    if (tensors.has(prefix + "pooler.dense.weight")) out.pooler = tensors.linear(prefix + "pooler.dense", d, d);
  } else {
    // Some classification files carry the pooler of the network they were tuned from; transformers does not load it.
    tensors.ignore(prefix + "pooler.dense.weight");
    tensors.ignore(prefix + "pooler.dense.bias");
    const bool teacher = head == HeadKind::with_teacher;
    out.head = tensors.linear(teacher ? "cls_classifier" : "classifier", vit.num_labels, d);
    if (teacher) out.head_dist = tensors.linear("distillation_classifier", vit.num_labels, d);
  }
  tensors.ignore(prefix + "embeddings.mask_token");  // for training on masked patches
  tensors.ignore(prefix + "embeddings.position_ids");
  if (vit.decoder && tensors.has("decoder.mask_token"))
    out.decoder = decoder(tensors, vit, config.qkv_bias);
  else
    vit.decoder.reset();
  tensors.refuse_the_rest();
  return out;
}

}  // namespace vitrail
