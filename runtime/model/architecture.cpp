#include "runtime/model/architecture.hpp"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <vector>

#include "runtime/model/checks.hpp"

namespace vitrail {
namespace {

struct Size {
  std::string_view name;
  int embed_dim, num_layers, num_heads, mlp_dim;
};

constexpr Size sizes[] = {
    {"tiny", 192, 12, 3, 768},        {"little", 320, 14, 5, 1792},   {"small", 384, 12, 6, 1536},
    {"medium", 512, 12, 8, 2048},     {"betwixt", 640, 12, 10, 2560}, {"base", 768, 12, 12, 3072},
    {"large", 1024, 24, 16, 4096},    {"huge", 1280, 32, 16, 5120},   {"giant", 1408, 40, 16, 6144},
    {"gigantic", 1664, 48, 16, 8192}, {"xsmall", 256, 10, 4, 1024},   {"so400m", 1152, 27, 16, 4304},
    {"giantopt", 1536, 40, 16, 6144},
};

/// Words that say where weights come from, not what is computed.
constexpr std::string_view provenance[] = {"in21k", "miil", "dino", "mae", "sam"};

/// 0 when `text` is not a number from 1 to 8192.
int small_number(std::string_view text) {
  int value = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size() && value >= 1 && value <= 8192 ? value : 0;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at <= text.size();) {
    std::size_t end = std::min(text.find(separator, at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

/// What the words after the patch size say, and whether a network of this size is registered with them.
struct Variant {
  std::string_view family;  ///< "dinov2", "dinov3", "clip", "siglip", or "" for the plain network
  bool plus = false;        ///< "small_plus" …
  bool gap = false, reg4 = false, quickgelu = false, qkvb = false;
};

bool one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_registered(const Variant& v, std::string_view size) {
  if (v.family == "dinov3")
    return !v.gap && !v.reg4 && (v.plus ? one_of(size, {"small", "huge"}) : one_of(size, {"small", "base", "large"}));
  if (v.plus || v.qkvb || (v.quickgelu && v.family != "clip")) return false;
  if (v.family == "dinov2") return !v.gap && one_of(size, {"small", "base", "large", "giant"});
  if (v.reg4) return false;
  if (v.family == "siglip") return one_of(size, {"base", "large", "so400m", "giantopt"});
  if (v.family == "clip") return !v.gap && !one_of(size, {"tiny", "little", "small", "so400m", "giantopt"});
  return !one_of(size, {"xsmall", "so400m", "giantopt"});
}

/// timm gave the exact GELU to SigLIP networks that were trained with its tanh form; it stays with those names.
bool siglip_has_exact_gelu(std::string_view size, int patch, int image) {
  if (size == "so400m") return patch == 14;
  return (size == "base" && patch == 16) || (size == "large" && image < 512);
}

void apply(const Variant& v, std::string_view size, Architecture& out) {
  if (!v.family.empty()) out.family = v.family;
  if (v.gap) {
    out.class_token = false;
    out.pool = "avg";
    if (v.family.empty() && size == "base") out.num_heads = 16;  // vit_base_patch16_gap_224 differs from its siblings
  }
  if (v.family == "clip") {
    out.pre_norm = true;
    out.layer_norm_eps = 1e-5f;
    if (v.quickgelu) out.activation = "quick_gelu";
  } else if (v.family == "siglip") {
    out.class_token = false;
    if (!v.gap) out.pool = "map";
    if (!siglip_has_exact_gelu(size, out.patch, out.image)) out.activation = "gelu_tanh";
  } else if (v.family == "dinov2") {
    out.layer_scale = true;
    out.registers = v.reg4 ? 4 : 0;
    if (size == "giant") {
      out.embed_dim = 1536;
      out.num_heads = 24;
      out.mlp_dim = 4096;
      out.gated_mlp = true;
    }
  } else if (v.family == "dinov3") {
    out.layer_scale = out.rotary = true;
    out.rotary_bias = v.qkvb;
    out.registers = 4;
    out.pool = "avg";
    out.gated_mlp = v.plus;
    out.layer_norm_eps = 1e-5f;
    if (size == "huge") out.num_heads = 20;
  }
}

}  // namespace

Result<Architecture> parse_architecture(std::string_view name) {
  auto refuse = [&](const std::string& why) {
    std::string known;
    for (const Size& size : sizes) known.append(known.empty() ? "" : "|").append(size.name);
    std::string text = "architecture " + in_quotes(name) + ": " + why + "; run are (vit|deit)_(" + known;
    text +=
        ")[_distilled]_patch<pixels>[_gap]_<image pixels>, and vit_<size>_patch<pixels>_ followed by "
        "[reg4_]dinov2, dinov3, clip[_quickgelu]_… or siglip[_gap]_…";
    return Error{ErrorCode::unsupported, std::move(text)};
  };
  Architecture out;
  auto words = split(name.substr(0, name.find('.')), '_');  // timm's ".tag" says which weights
  if (words[0] != "vit" && words[0] != "deit") return refuse(in_quotes(words[0]) + " is not a family that is run");
  out.family = words[0];

  auto word = words.begin() + 1;
  auto size = word == words.end()
                  ? std::end(sizes)
                  : std::find_if(std::begin(sizes), std::end(sizes), [&](const Size& s) { return s.name == *word; });
  if (size == std::end(sizes))
    return refuse(word == words.end() ? "no size" : in_quotes(*word) + " is not a size that is run");
  out.embed_dim = size->embed_dim;
  out.num_layers = size->num_layers;
  out.num_heads = size->num_heads;
  out.mlp_dim = size->mlp_dim;
  ++word;

  Variant variant;
  if (word != words.end() && *word == "plus") {
    variant.plus = true;
    ++word;
  }
  if (word != words.end() && *word == "distilled" && out.family == "deit") {
    out.distilled = true;
    ++word;
  }
  if (word != words.end() && word->substr(0, 5) == "patch") out.patch = small_number(word->substr(5));
  if (out.patch == 0)
    return refuse(word == words.end() ? "no patch size"
                                      : "found " + in_quotes(*word) + ", expected a patch size like \"patch16\"");
  for (++word; word != words.end(); ++word) {
    if (*word == "gap") {
      variant.gap = true;
    } else if (out.family == "vit" && variant.family.empty() && one_of(*word, {"dinov2", "dinov3", "clip", "siglip"})) {
      variant.family = *word;
    } else if (*word == "reg4") {
      variant.reg4 = true;
    } else if (*word == "quickgelu") {
      variant.quickgelu = true;
    } else if (*word == "qkvb") {
      variant.qkvb = true;
    } else if (out.image == 0 && small_number(*word) != 0) {
      out.image = small_number(*word);
    } else if (std::find(std::begin(provenance), std::end(provenance), *word) == std::end(provenance)) {
      return refuse(in_quotes(*word) + " is a variant that is not run");
    }
  }
  if (!is_registered(variant, size->name)) return refuse("no network of this size has these variants");
  apply(variant, size->name, out);
  return out;
}

}  // namespace vitrail
