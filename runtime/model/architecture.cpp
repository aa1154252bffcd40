#include "runtime/model/architecture.hpp"

#include <algorithm>
#include <charconv>
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
    {"gigantic", 1664, 48, 16, 8192},
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

}  // namespace

Result<Architecture> parse_architecture(std::string_view name) {
  auto refuse = [&](const std::string& why) {
    std::string known;
    for (const Size& size : sizes) known += (known.empty() ? "" : "|") + std::string(size.name);
    return Error{ErrorCode::unsupported, "architecture " + in_quotes(name) + ": " + why + "; run are (vit|deit)_(" +
                                             known + ")[_distilled]_patch<pixels>[_gap]_<image pixels>"};
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
      out.gap = true;
    } else if (out.image == 0 && small_number(*word) != 0) {
      out.image = small_number(*word);
    } else if (std::find(std::begin(provenance), std::end(provenance), *word) == std::end(provenance)) {
      return refuse(in_quotes(*word) + " is a variant that is not run");
    }
  }
  if (out.gap && size->name == "base") out.num_heads = 16;  // vit_base_patch16_gap_224 differs from its siblings
  return out;
}

}  // namespace vitrail
