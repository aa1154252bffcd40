// What a run must compute for what it is asked for.
#include <algorithm>

#include "runtime/vit.hpp"

namespace vitrail {

bool Request::classifies(const Weights& w) const {
  return w.head && (wants(Outputs::logits) || (w.head_dist && wants(Outputs::pooled)));
}

bool Request::pools(const Weights& w) const {
  return classifies(w) || wants(Outputs::pooled) || (w.projection && wants(Outputs::image_embeds));
}

int Request::last_rows(const Weights& w, int tokens) const {
  const VitConfig& c = w.config;
  const auto includes_last = [&](std::span<const int> blocks) { return includes(blocks, c.num_layers - 1); };
  if (wants(Outputs::tokens | Outputs::hidden_states) || includes_last(layers) || includes_last(attention_layers))
    return tokens;
  int rows = wants(Outputs::cls) && c.has_cls ? 1 : 0;
  if (wants(Outputs::registers) && c.registers > 0) rows = c.prefix_tokens();
  if (!pools(w)) return rows;
  if (c.pool == Pool::mean || c.pool == Pool::attention || (c.pool == Pool::cls_and_mean && classifies(w)))
    return tokens;
  return std::max(rows, w.head_dist ? 2 : 1);
}

int Request::blocks(const Weights& w, int tokens) const {
  if (last_rows(w, tokens) > 0) return w.config.num_layers;
  int last = -1;
  for (const auto& list : {layers, attention_layers})
    for (const int block : list) last = std::max(last, block);
  return last + 1;
}

}  // namespace vitrail
