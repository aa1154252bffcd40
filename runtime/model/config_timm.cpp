// timm's config.json: `architecture` names a network, `model_args` changes it, `pretrained_cfg` says how pictures are
// prepared.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "runtime/model/architecture.hpp"
#include "runtime/model/config.hpp"

namespace vitrail {
namespace {

/// Refuses arguments of timm's VisionTransformer that are unknown here or ask for other arithmetic than what is run
/// under the architecture's name.
void check_model_args(const Fields& args, const Architecture& architecture) {
  // Read below, or without effect when a network only runs.
  constexpr std::string_view used[] = {
      "img_size",      "patch_size",      "in_chans",        "num_classes",      "global_pool",
      "embed_dim",     "depth",           "num_heads",       "mlp_ratio",        "qkv_bias",
      "class_token",   "no_embed_class",  "fc_norm",         "act_layer",        "drop_rate",
      "pos_drop_rate", "patch_drop_rate", "proj_drop_rate",  "attn_drop_rate",   "drop_path_rate",
      "weight_init",   "fix_init",        "strict_img_size", "dynamic_img_size", "dynamic_img_pad"};
  const Json layer_scale =
      architecture.layer_scale ? args.find("init_values") ? *args.find("init_values") : Json() : Json();
  const std::vector<std::pair<std::string, Json>> neutral = {
      {"init_values", layer_scale},
      {architecture.rotary ? "num_reg_tokens" : "reg_tokens", architecture.registers},
      {"pre_norm", architecture.pre_norm},
      {"final_norm", true},
      {"qk_norm", false},
      {"scale_attn_norm", false},
      {"scale_mlp_norm", false},
      {"proj_bias", true},
      {"pos_embed", "learn"},
      {"pool_include_prefix", false},
      {"embed_norm_layer", nullptr},
      {"norm_layer", "layernorm"},
      {"attn_layer", "attn"},
      {"mlp_layer", "mlp"},
      {"use_naflex", false},
      {"use_fc_norm", false},
  };
  for (const std::string& key : args.keys()) {
    if (!args.has(key) || std::find(std::begin(used), std::end(used), key) != std::end(used)) continue;
    auto it = std::find_if(neutral.begin(), neutral.end(), [&](const auto& entry) { return entry.first == key; });
    if (it == neutral.end()) {
      args.fail(key, "only arguments of VisionTransformer that are known here", ErrorCode::unsupported);
    } else if (*args.find(key) != it->second) {
      args.fail(key,
                it->second.is_null() ? "null (others are not run)" : found_text(it->second) + " (others are not run)",
                ErrorCode::unsupported);
    }
  }
}

Activation activation(const Fields& args, const Architecture& architecture) {
  const std::string own(architecture.activation), name = args.text("act_layer", own);
  if (architecture.gated_mlp && args.has("act_layer") && name != "silu")
    args.fail("act_layer", "\"silu\" (SwiGLU)", ErrorCode::unsupported);
  if (architecture.gated_mlp || name == "gelu") return Activation::gelu_erf;
  if (name == "gelu_tanh") return Activation::gelu_tanh;
  if (name == "quick_gelu" && name == own) return Activation::gelu_quick;
  args.fail("act_layer", "\"gelu\" or \"gelu_tanh\"", ErrorCode::unsupported);
  return Activation::gelu_erf;
}

template <class T>
std::optional<T> when(bool present, T value) {
  return present ? std::optional<T>(value) : std::nullopt;
}

/// model_args is what timm builds from; the top-level copy is for readers, but must not contradict it.
Pool pool(const Fields& config, const Fields& args, const Architecture& architecture, bool has_head) {
  const std::string own(architecture.pool);
  const std::string name = config.text("global_pool", own);
  std::string from_args = args.text("global_pool", name);
  if (config.has("global_pool") && from_args != name)
    config.fail("global_pool", in_quotes(from_args) + " as in \"model_args.global_pool\"");
  const bool unread = from_args.empty() && !has_head;
  const std::string_view pool = unread ? std::string_view(own) : from_args;
  if (pool == "map" && own == "map") return Pool::attention;
  if (pool == "avg" && own != "map") return Pool::mean;
  if (pool != "token" || own == "map")
    (args.has("global_pool") ? args : config)
        .fail("global_pool", own == "map" ? "\"map\"" : "\"token\" or \"avg\"", ErrorCode::unsupported);
  return Pool::cls;
}

/// The descriptions of the names where the file has them ("n02123045" → "tabby cat").
std::vector<std::string> label_names(const Fields& fields, int count) {
  auto labels = read_labels(fields, "label_names", count);
  const Json* descriptions = fields.find("label_descriptions");
  if (!descriptions || !descriptions->is_object()) return labels;
  for (std::string& label : labels) {
    auto it = descriptions->find(label);
    if (it != descriptions->end() && it->is_string()) label = it->get<std::string>();
  }
  return labels;
}

/// input_size is [channels, height, width]; model_args may overrule it.
void read_input_size(const Fields& pretrained, const Fields& args, VitConfig& vit) {
  const Json* size = pretrained.find("input_size");
  auto fits = [](const Json& n) { return n.is_number_unsigned() && n.get<std::uint64_t>() - 1 < limits::image; };
  if (!size || !size->is_array() || size->size() != 3 || !std::all_of(size->begin(), size->end(), fits))
    return pretrained.fail("input_size", "[channels, height, width], each from 1 to " + std::to_string(limits::image));
  vit.channels = args.integer("in_chans", 1, 3, (*size)[0].get<int>());
  if (vit.channels != 1 && vit.channels != 3)
    (args.has("in_chans") ? args : pretrained)
        .fail(args.has("in_chans") ? "in_chans" : "input_size", "1 or 3 channels");
  vit.image_height = (*size)[1].get<int>();
  vit.image_width = (*size)[2].get<int>();
  if (args.has("img_size"))
    std::tie(vit.image_height, vit.image_width) = args.integer_pair("img_size", 1, limits::image);
}

}  // namespace

TimmConfig timm_config(const Fields& config) {
  static const Json none = Json::object();
  TimmConfig out;
  VitConfig& vit = out.vit;
  Fields args = config.has("model_args") ? config.object("model_args")
                                         : Fields(none, config.file(), config.errors(), "model_args.");
  // Files of timm before 0.8.3 have the fields of pretrained_cfg at the top.
  Fields pretrained = config.has("pretrained_cfg") ? config.object("pretrained_cfg") : config;

  auto architecture = parse_architecture(config.text("architecture"));
  if (!architecture) {
    config.fail_file("\"architecture\": " + architecture.error().message, architecture.error().code);
    return out;
  }
  check_model_args(args, *architecture);
  vit.format = "timm";
  vit.family = architecture->family;
  vit.embed_dim = args.integer("embed_dim", 1, limits::embed_dim, architecture->embed_dim);
  vit.num_layers = args.integer("depth", 1, limits::layers, architecture->num_layers);
  vit.num_heads = args.integer("num_heads", 1, limits::embed_dim, architecture->num_heads);
  vit.activation = activation(args, *architecture);
  vit.layer_norm_eps = architecture->layer_norm_eps;
  vit.gated_mlp = architecture->gated_mlp;
  vit.registers = architecture->registers;
  out.layer_scale = architecture->layer_scale;
  out.pre_norm = architecture->pre_norm;
  const Fields& classes = config.has("num_classes") ? config : pretrained;
  if (classes.has("num_classes")) out.num_classes = classes.integer("num_classes", 0, limits::labels);
  if (args.has("num_classes")) out.num_classes = args.integer("num_classes", 0, limits::labels);
  if (out.num_classes.value_or(0) > 0)
    vit.labels = label_names(config.has("label_names") ? config : pretrained, *out.num_classes);
  vit.pool = pool(config, args, *architecture, out.num_classes != 0);
  std::tie(vit.patch_height, vit.patch_width) = args.integer_pair("patch_size", 1, limits::patch, architecture->patch);
  read_input_size(pretrained, args, vit);
  vit.has_cls = args.boolean("class_token", architecture->class_token);
  vit.has_dist = out.distilled = architecture->distilled;
  check_dimensions(vit, config.file(), config.errors());

  if (config.has("num_features") && config.integer("num_features", 1, limits::embed_dim) != vit.embed_dim)
    config.fail("num_features", std::to_string(vit.embed_dim) + " for " + config.text("architecture"));
  out.mlp_ratio = when(args.has("mlp_ratio"), args.number("mlp_ratio", 1e-3, 1e3, 4));
  out.class_token = when(args.has("class_token"), vit.has_cls);
  out.no_embed_class =
      when(args.has("no_embed_class") || vit.registers > 0, args.boolean("no_embed_class", vit.registers > 0));
  out.fc_norm = when(args.has("fc_norm"), args.boolean("fc_norm", false));
  out.qkv_bias = when(args.has("qkv_bias"), args.boolean("qkv_bias", true));
  if (architecture->rotary) {
    vit.positions = PositionRule::rotary;
    vit.rotary_base = 100;
    if (vit.head_dim() % 4 != 0)
      config.fail_file("width of a head: found " + std::to_string(vit.head_dim()) +
                       ", expected a multiple of 4 for rotary positions");
    out.fc_norm = false;
    out.qkv_bias = args.boolean("qkv_bias", architecture->rotary_bias);
  }
  if (architecture->pool == "map" || architecture->registers > 0) out.fc_norm = false;
  if (!config.errors().failed()) vit.preprocess = timm_preprocess(pretrained, vit);
  return out;
}

}  // namespace vitrail
