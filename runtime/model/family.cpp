#include "runtime/model/family.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

namespace vitrail {
namespace {

constexpr Family families[] = {
    {"vit", vit_config, vit_network},
    {"deit", vit_config, vit_network},
    {"vit_msn", vit_config, vit_network},
    {"vit_mae", vit_config, vit_network},
    {"ijepa", vit_config, vit_network},
    {"dinov2", dinov2_config, dinov2_network},
    {"dinov2_with_registers", dinov2_config, dinov2_network},
    {"dinov3_vit", dinov3_config, dinov3_network},
    {"clip_vision_model", clip_config, clip_network},
    {"clip", clip_config, clip_network},
    {"siglip_vision_model", clip_config, clip_network},
    {"siglip", clip_config, clip_network},
    {"beit", beit_config, beit_network},
    {"data2vec-vision", beit_config, beit_network},
};

/// Keys that mean other arithmetic when they have another value than this one. The configuration classes of
/// transformers do not all have them; they are found in derived networks that were saved under the same model_type.
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

}  // namespace

const Family* find_family(const Fields& config) {
  const std::string name = config.text("model_type");
  std::string known;
  for (const Family& family : families) {
    if (name == family.model_type) return &family;
    known += (known.empty() ? "" : ", ") + std::string(family.model_type);
  }
  config.fail("model_type", "one of " + known + " (Hugging Face), or a timm config.json with \"architecture\"",
              ErrorCode::unsupported);
  return nullptr;
}

void check_neutral(const Fields& config, std::initializer_list<std::string_view> read_by_family) {
  for (const Neutral& neutral : neutral_values()) {
    if (std::find(read_by_family.begin(), read_by_family.end(), neutral.key) != read_by_family.end()) continue;
    const Json* value = config.find(neutral.key);
    bool zero = neutral.value.is_number() && value && value->is_boolean() && !value->get<bool>();
    if (value && *value != neutral.value && !zero)
      config.fail(
          neutral.key,
          neutral.value.is_null() ? "nothing: this is not run" : found_text(neutral.value) + " (others are not run)",
          ErrorCode::unsupported);
  }
}

void read_sizes(const Fields& config, VitConfig& vit, int hidden, int layers, int heads, int patch, bool square) {
  vit.format = "huggingface";
  vit.embed_dim = config.integer("hidden_size", 1, limits::embed_dim, hidden);
  vit.num_layers = config.integer("num_hidden_layers", 1, limits::layers, layers);
  vit.num_heads = config.integer("num_attention_heads", 1, limits::embed_dim, heads);
  if (square) {
    vit.image_height = vit.image_width = config.integer("image_size", 1, limits::image, 224);
    vit.patch_height = vit.patch_width = config.integer("patch_size", 1, limits::patch, patch);
  } else {
    std::tie(vit.image_height, vit.image_width) = config.integer_pair("image_size", 1, limits::image, 224);
    std::tie(vit.patch_height, vit.patch_width) = config.integer_pair("patch_size", 1, limits::patch, patch);
  }
  vit.channels = config.integer("num_channels", 1, 3, 3);
  if (vit.channels == 2) config.fail("num_channels", "1 or 3");
}

Activation read_activation(const Fields& config, const char* fallback) {
  struct Entry {
    const char* name;
    Activation value;
  };
  // transformers' ACT2FN: three spellings of the tanh form that differ only in rounding.
  constexpr Entry known[] = {{"gelu", Activation::gelu_erf},        {"gelu_python", Activation::gelu_erf},
                             {"gelu_new", Activation::gelu_tanh},   {"gelu_pytorch_tanh", Activation::gelu_tanh},
                             {"gelu_fast", Activation::gelu_tanh},  {"gelu_accurate", Activation::gelu_tanh},
                             {"quick_gelu", Activation::gelu_quick}};
  std::string name = config.text("hidden_act", fallback);
  for (const Entry& entry : known)
    if (name == entry.name) return entry.value;
  config.fail("hidden_act", "gelu, gelu_python, gelu_new, gelu_pytorch_tanh, gelu_fast, gelu_accurate or quick_gelu",
              ErrorCode::unsupported);
  return Activation::gelu_erf;
}

int read_class(const Fields& config, std::initializer_list<std::string_view> names) {
  const Json* list = config.find("architectures");
  if (!list || (list->is_array() && list->empty())) return -1;
  std::string name =
      list->is_array() && list->size() == 1 && (*list)[0].is_string() ? (*list)[0].get<std::string>() : "";
  const auto* found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return static_cast<int>(found - names.begin());
  std::string known;
  for (auto each : names) known += (known.empty() ? "" : ", ") + std::string(each);
  config.fail("architectures", "one of " + known, ErrorCode::unsupported);
  return -1;
}

void read_classes(const Fields& config, VitConfig& vit) {
  // transformers: len(id2label), else num_labels, else 2.
  const Json* names = config.find("id2label");
  int named = names ? static_cast<int>(std::min<std::size_t>(names->size(), limits::labels + 1)) : 0;
  int count = config.integer("num_labels", 1, limits::labels, names ? named : 2);
  if (names && (named < 1 || named > limits::labels || count != named))
    config.fail("id2label", std::to_string(config.has("num_labels") ? count : limits::labels) +
                                (config.has("num_labels") ? " names, as \"num_labels\" says" : " names at most"));
  const std::string problem = config.text("problem_type", "single_label_classification");
  if (problem != "single_label_classification")  // its probabilities are no softmax
    config.fail("problem_type", "\"single_label_classification\"", ErrorCode::unsupported);
  vit.num_labels = count;
  vit.labels = read_labels(config, "id2label", count);
}

}  // namespace vitrail
