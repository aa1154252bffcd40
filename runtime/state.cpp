// Where a session's activations are, and which of them a product reads.
#include <algorithm>

#include "runtime/vit.hpp"

namespace vitrail {

State State::from(std::size_t first, const VitConfig& c) const {
  const auto D = static_cast<std::size_t>(c.embed_dim), T = static_cast<std::size_t>(c.num_tokens());
  const auto labels = static_cast<std::size_t>(c.num_labels);
  State s = *this;
  const auto skip = [first](float*& kept, std::size_t of_picture) {
    if (kept) kept += first * of_picture;
  };
  skip(s.x, T * D);
  skip(s.cls, D);
  skip(s.pooled, D);
  skip(s.registers, static_cast<std::size_t>(c.registers) * D);
  skip(s.image_embeds, static_cast<std::size_t>(c.projection_dim));
  skip(s.head_rows, 2 * D);
  skip(s.logits, labels);
  skip(s.logits_dist, labels);
  skip(s.patch_embed, static_cast<std::size_t>(c.num_patches()) * D);
  for (float** of_layers : {&s.hidden_states, &s.layers}) skip(*of_layers, T * D);
  skip(s.attentions, static_cast<std::size_t>(c.num_heads) * T * T);
  return s;
}

State State::place(Layout& layout, const Engine& e, const Weights& w, const Plan& largest, int max_batch,
                   const Request& request) {
  const VitConfig& c = largest.config;
  const Extent extent = extent_of(largest);
  const bool f32 = w.dtype == DType::f32;
  const auto B = static_cast<std::uint64_t>(max_batch), N = static_cast<std::uint64_t>(extent.patches);
  const auto G = static_cast<std::uint64_t>(group_size(max_batch, e.threads()));
  const auto T = static_cast<std::uint64_t>(extent.tokens), D = static_cast<std::uint64_t>(extent.embed_dim);
  const auto M = static_cast<std::uint64_t>(extent.mlp_dim), K = static_cast<std::uint64_t>(extent.patch_size);
  const auto labels = static_cast<std::uint64_t>(c.num_labels), L = static_cast<std::uint64_t>(c.num_layers);
  const auto prefix = static_cast<std::uint64_t>(c.prefix_tokens());
  State s;
  s.x = layout.take<float>(B * T * D);
  s.cls = layout.take<float>(B * D);
  s.pooled = layout.take<float>(B * D);
  s.registers = layout.take<float>(B * static_cast<std::uint64_t>(c.registers) * D);
  s.image_embeds = layout.take<float>(B * static_cast<std::uint64_t>(c.projection_dim));
  if (c.pool == Pool::cls_and_mean) s.head_rows = layout.take<float>(B * 2 * D);
  s.logits = layout.take<float>(B * labels);
  s.logits_dist = layout.take<float>(B * labels);
  const auto C = request.class_keys(w, extent.tokens) ? static_cast<std::uint64_t>(c.class_tokens()) : 0,
             queries = C * static_cast<std::uint64_t>(c.num_heads);
  s.quant = layout.take<RowQuant>(std::max({G * T, N, queries}));
  s.rows = layout.take<float>(G * (f32 ? T : std::max<std::uint64_t>(prefix, 1)) * D);
  if (!f32)
    s.q = layout.take<std::uint8_t>(std::max({G * T * align_up(D), G * align_up(2 * D), queries * align_up(D)}));
  if (!f32) s.hidden_q = layout.take<std::uint8_t>(G * T * align_up(M));
  if (request.wants(Outputs::patch_embed)) s.patch_embed = layout.take<float>(B * N * D);
  if (request.wants(Outputs::hidden_states)) s.hidden_states = layout.take<float>((L + 1) * B * T * D);
  if (!request.layers.empty()) s.layers = layout.take<float>(request.layers.size() * B * T * D);
  if (!request.attention_layers.empty())
    s.attentions =
        layout.take<float>(request.attention_layers.size() * B * static_cast<std::uint64_t>(c.num_heads) * T * T);
  if (request.reconstruct) {
    s.predictions = layout.take<float>(N * K);
    for (auto* bytes : {&s.pixel_patches, &s.predicted, &s.whole}) *bytes = layout.take<std::uint8_t>(N * K);
  }

  s.class_rows = layout.take<float>(G * C * D);
  if (Request::includes(request.attention_layers, c.num_layers - 1)) s.class_maps = layout.take<float>(G * queries * T);

  // One after the other in time, so one over the other in memory.
  const std::size_t shared = layout.mark();
  s.patches = layout.take<std::uint8_t>(N * align_up(K));
  if (f32) s.patches_f32 = layout.take<float>(N * K);
  layout.rewind(shared);
  s.packed_heads = layout.take<std::byte>(e.packed_heads_bytes());
  const std::size_t after_heads = layout.mark();
  if (C > 0) {
    for (auto* tokens : {&s.normed, &s.smoothed}) *tokens = layout.take<float>(T * D);
    s.channel_roots = layout.take<float>(D);
    s.class_queries = layout.take<float>(queries * D);
    s.class_values = layout.take<float>(queries * (D + PackedS8::panel));
  }
  layout.rewind(after_heads);
  s.qkv = layout.take<float>(G * T * 3 * D);
  layout.rewind(shared);
  s.hidden = layout.take<float>(G * T * M);
  if (c.gated_mlp) s.gates = layout.take<float>(G * T * 2 * M);
  layout.seal();
  return s;
}

namespace {

Rows rows_at(const State& s, DType dtype, int count, int k, float* f, std::uint8_t* q) {
  Rows rows{.count = count, .k = k};
  if (dtype == DType::f32) {
    rows.f = f;
    rows.ldf = static_cast<std::size_t>(k);
  } else {
    rows.q = q;
    rows.ldq_bytes = align_up(static_cast<std::size_t>(k));
    rows.quant = s.quant;
  }
  return rows;
}

}  // namespace

Rows rows_of(const State& s, DType dtype, int count, int k, float* f) { return rows_at(s, dtype, count, k, f, s.q); }

Rows hidden_rows_of(const State& s, DType dtype, int count, int k) {
  return rows_at(s, dtype, count, k, s.hidden, s.hidden_q);
}

Rows slice(Rows rows, std::size_t first, int count) {
  rows.count = count;
  if (rows.f) {
    rows.f += first * rows.ldf;
  } else {
    rows.q += first * rows.ldq_bytes;
    rows.quant += first;
  }
  return rows;
}

}  // namespace vitrail
