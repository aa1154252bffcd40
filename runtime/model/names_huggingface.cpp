// Tensor names of transformers' ViT and DeiT.
#include "runtime/model/names.hpp"

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

BlockSource block(TensorSet& tensors, const BlockNames& names, const std::string& prefix, const VitConfig& vit,
                  bool qkv_bias) {
  const int d = vit.embed_dim, m = vit.mlp_dim;
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

}  // namespace

NetworkSource huggingface_network(HuggingFaceConfig config, TensorSet& tensors) {
  NetworkSource out;
  VitConfig& vit = out.config = std::move(config.vit);
  const int d = vit.embed_dim;
  tensors.refuse_known_variants();

  // ViTModel's own files have no prefix; those of networks built on it call it "vit." or "deit.".
  const std::string prefix = tensors.has(vit.family + ".embeddings.cls_token") ? vit.family + "." : "";
  HeadKind head = config.head;
  if (head == HeadKind::as_stored)
    head = tensors.has("cls_classifier.weight") ? HeadKind::with_teacher
           : tensors.has("classifier.weight")   ? HeadKind::classifier
                                                : HeadKind::none;

  out.cls = tensors.take(prefix + "embeddings.cls_token", {d});
  if (vit.has_dist) out.dist = tensors.take(prefix + "embeddings.distillation_token", {d});
  out.positions = tensors.take(prefix + "embeddings.position_embeddings", {vit.num_tokens(), d});
  const std::string projection = prefix + "embeddings.patch_embeddings.projection";
  out.patch_weight = tensors.take(projection + ".weight", {d, vit.channels, vit.patch_height, vit.patch_width});
  out.patch_bias = tensors.take(projection + ".bias", {d});

  const BlockNames& names = tensors.has(prefix + modules.layers + "0.layernorm_before.weight") ? modules : published;
  for (int i = 0; i < vit.num_layers && !tensors.errors().failed(); ++i)
    out.blocks.push_back(block(tensors, names, prefix + names.layers + std::to_string(i) + ".", vit, config.qkv_bias));
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
  tensors.refuse_the_rest();
  return out;
}

}  // namespace vitrail
