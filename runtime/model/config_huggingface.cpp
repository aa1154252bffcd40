// Hugging Face's config.json of the model types vit and deit.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "runtime/model/config.hpp"

namespace vitrail {
namespace {

/// Keys that mean other arithmetic when they have another value than this one. ViTConfig itself has none of them; they
/// are found in derived networks that were saved under the same model_type.
struct Neutral {
  const char* key;
  Json value;
};

const std::vector<Neutral>& neutral_values() {
  static const std::vector<Neutral> list = {
      {"norm_first", true},
      {"pre_norm", false},
      {"post_norm", false},
      {"use_post_norm", false},
      {"norm_type", "layernorm"},
      {"use_rms_norm", false},
      {"layer_scale", false},
      {"use_layer_scale", false},
      {"layerscale_value", 0},
      {"layer_scale_init_value", 0},
      {"qk_norm", false},
      {"qk_layernorm", false},
      {"use_qk_norm", false},
      {"use_swiglu_ffn", false},
      {"mlp_bias", true},
      {"attention_bias", true},
      {"num_register_tokens", 0},
      {"use_rope", false},
      {"use_rotary_embeddings", false},
      {"position_embedding_type", "absolute"},
      {"use_absolute_position_embeddings", true},
      {"use_relative_position_bias", false},
      {"use_shared_relative_position_bias", false},
      {"use_mean_pooling", false},
      {"is_decoder", false},
      {"is_causal", false},
      {"add_cross_attention", false},
      {"pruned_heads", Json::object()},
      {"embedding_size", nullptr},
      {"backbone_config", nullptr},
      {"quantization_config", nullptr},
      {"auto_map", nullptr},
  };
  return list;
}

Activation activation(const Fields& config) {
  struct Entry {
    const char* name;
    Activation value;
  };
  // transformers' ACT2FN: three spellings of the tanh form that differ only in rounding.
  constexpr Entry known[] = {{"gelu", Activation::gelu_erf},       {"gelu_python", Activation::gelu_erf},
                             {"gelu_new", Activation::gelu_tanh},  {"gelu_pytorch_tanh", Activation::gelu_tanh},
                             {"gelu_fast", Activation::gelu_tanh}, {"gelu_accurate", Activation::gelu_tanh}};
  std::string name = config.text("hidden_act", "gelu");
  for (const Entry& entry : known)
    if (name == entry.name) return entry.value;
  config.fail("hidden_act", "gelu, gelu_python, gelu_new, gelu_pytorch_tanh, gelu_fast or gelu_accurate",
              ErrorCode::unsupported);
  return Activation::gelu_erf;
}

HeadKind head_kind(const Fields& config) {
  const Json* list = config.find("architectures");
  if (!list || (list->is_array() && list->empty())) return HeadKind::as_stored;
  std::string name =
      list->is_array() && list->size() == 1 && (*list)[0].is_string() ? (*list)[0].get<std::string>() : "";
  if (name == "ViTModel" || name == "DeiTModel") return HeadKind::none;
  if (name == "ViTForImageClassification" || name == "DeiTForImageClassification") return HeadKind::classifier;
  if (name == "DeiTForImageClassificationWithTeacher") return HeadKind::with_teacher;
  config.fail("architectures",
              "one of ViTForImageClassification, ViTModel, DeiTForImageClassification, "
              "DeiTForImageClassificationWithTeacher, DeiTModel",
              ErrorCode::unsupported);
  return HeadKind::none;
}

/// transformers: len(id2label), else num_labels, else 2.
int label_count(const Fields& config) {
  const Json* names = config.find("id2label");
  int named = names ? static_cast<int>(std::min<std::size_t>(names->size(), limits::labels + 1)) : 0;
  int count = config.integer("num_labels", 1, limits::labels, names ? named : 2);
  if (names && (named < 1 || named > limits::labels || count != named))
    config.fail("id2label", std::to_string(config.has("num_labels") ? count : limits::labels) +
                                (config.has("num_labels") ? " names, as \"num_labels\" says" : " names at most"));
  return count;
}

}  // namespace

HuggingFaceConfig huggingface_config(const Fields& config) {
  HuggingFaceConfig out;
  VitConfig& vit = out.vit;
  vit.format = "huggingface";
  vit.family = config.text("model_type");
  if (vit.family != "vit" && vit.family != "deit")
    config.fail("model_type", "\"vit\" or \"deit\" (Hugging Face), or a timm config.json with \"architecture\"",
                ErrorCode::unsupported);
  out.head = head_kind(config);
  for (const Neutral& neutral : neutral_values()) {
    const Json* value = config.find(neutral.key);
    bool zero = neutral.value.is_number() && value && value->is_boolean() && !value->get<bool>();
    if (value && *value != neutral.value && !zero)
      config.fail(
          neutral.key,
          neutral.value.is_null() ? "nothing: this is not run" : found_text(neutral.value) + " (others are not run)",
          ErrorCode::unsupported);
  }

  vit.embed_dim = config.integer("hidden_size", 1, limits::embed_dim, 768);
  vit.num_layers = config.integer("num_hidden_layers", 1, limits::layers, 12);
  vit.num_heads = config.integer("num_attention_heads", 1, limits::embed_dim, 12);
  vit.mlp_dim = config.integer("intermediate_size", 1, limits::inner - 1, 3072);
  vit.activation = activation(config);
  vit.layer_norm_eps = static_cast<float>(config.number("layer_norm_eps", 1e-30, 1, 1e-12));
  std::tie(vit.image_height, vit.image_width) = config.integer_pair("image_size", 1, limits::image, 224);
  std::tie(vit.patch_height, vit.patch_width) = config.integer_pair("patch_size", 1, limits::patch, 16);
  vit.channels = config.integer("num_channels", 1, 3, 3);
  if (vit.channels == 2) config.fail("num_channels", "1 or 3");
  out.qkv_bias = config.boolean("qkv_bias", true);
  vit.has_dist = vit.family == "deit";
  check_dimensions(vit, config.file(), config.errors());

  if (out.head != HeadKind::none) {
    vit.num_labels = label_count(config);
    vit.labels = read_labels(config, "id2label", vit.num_labels);
  }
  if (config.text("pooler_act", "tanh") != "tanh") config.fail("pooler_act", "\"tanh\"", ErrorCode::unsupported);
  if (config.integer("pooler_output_size", 1, limits::embed_dim, vit.embed_dim) != vit.embed_dim)
    config.fail("pooler_output_size", std::to_string(vit.embed_dim) + ", the hidden size", ErrorCode::unsupported);
  return out;
}

}  // namespace vitrail
