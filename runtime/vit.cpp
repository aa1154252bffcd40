#include "runtime/vit.hpp"

#include <algorithm>

namespace vitrail {
namespace {

/// Rows of `k` elements for the next product: u8 in int8, f32 (in `f`) otherwise.
Rows rows_of(const State& s, DType dtype, int count, int k, float* f) {
  Rows rows{.count = count, .k = k};
  if (dtype == DType::f32) {
    rows.f = f;
  } else {
    rows.q = s.q;
    rows.ldq_bytes = align_up(static_cast<std::size_t>(k));
    rows.quant = s.quant;
  }
  return rows;
}

/// Pixels → tokens of picture `b`: x[prefix + i] = patch i · W + b + position i, after CLS, distillation and
/// register tokens.
void embed(Engine& e, const Weights& w, const Plan& plan, State& s, const Pixels& picture, std::size_t b) {
  const VitConfig& c = plan.config;
  const auto dim = static_cast<std::size_t>(c.embed_dim);
  const auto patches_dim = static_cast<std::size_t>(c.num_patches()) * dim;
  const auto prefix_dim = static_cast<std::size_t>(c.prefix_tokens()) * dim;
  float* x = s.x + b * (prefix_dim + patches_dim);  // [T, D]

  Rows patches{.count = c.num_patches(),
               .k = c.patch_size(),
               .q = s.patches,  // [N, P·P·C]
               .ldq_bytes = align_up(static_cast<std::size_t>(c.patch_size())),
               .quant = s.quant,
               .f = s.patches_f32};
  e.patchify(plan, w, picture.data, picture.stride_bytes, patches);
  std::copy_n(w.prefix, prefix_dim, x);
  e.linear("patch_embed", patches, w.patch, Activation::none, plan.positions, dim, x + prefix_dim, dim);  // [N, D]
  if (s.patch_embed)
    e.linear("patch_embed", patches, w.patch, Activation::none, nullptr, 0, s.patch_embed + b * patches_dim, dim);
}

/// dst [D] = the mean of the patch rows of `tokens` [T, D].
void mean_of_patches(const VitConfig& c, const float* tokens, float* dst) {
  const auto dim = static_cast<std::size_t>(c.embed_dim);
  const float* patches = tokens + static_cast<std::size_t>(c.prefix_tokens()) * dim;
  std::fill_n(dst, dim, 0.0f);
  for (int i = 0; i < c.num_patches(); ++i)
    for (std::size_t d = 0; d < dim; ++d) dst[d] += patches[static_cast<std::size_t>(i) * dim + d];
  for (std::size_t d = 0; d < dim; ++d) dst[d] /= static_cast<float>(c.num_patches());
}

/// pooled [B, D] of the tokens: the CLS row, the mean of the patch rows, or what a learned query finds in all rows.
void pool(Engine& e, const Weights& w, const VitConfig& c, State& s, int batch) {
  const auto D = static_cast<std::size_t>(c.embed_dim), TD = static_cast<std::size_t>(c.num_tokens()) * D;
  for (std::size_t b = 0; b < static_cast<std::size_t>(batch); ++b) {
    if (c.pool == Pool::mean)
      mean_of_patches(c, s.tokens + b * TD, s.pooled + b * D);
    else if (c.pool != Pool::attention)
      std::copy_n(s.tokens + b * TD, D, s.pooled + b * D);
  }
  if (w.pool_norm) e.norm(s.pooled, *w.pool_norm, c.layer_norm_eps, batch, c.embed_dim, s.pooled);
  if (!w.attention_pool) return;

  const AttentionPool& p = *w.attention_pool;
  Rows a = rows_of(s, w.dtype, batch * c.num_tokens(), c.embed_dim, s.tokens);
  e.quantize(s.tokens, a);
  e.linear("pool_kv", a, p.key_value, Activation::none, nullptr, 0, s.qkv, 2 * D);  // key, value [B·T, 2D]
  for (std::size_t b = 0; b < static_cast<std::size_t>(batch); ++b)
    e.attention(p.query, D, 1, s.qkv + 2 * b * TD, s.qkv + 2 * b * TD + D, 2 * D, s.heads,
                s.rows + b * D);  // rows [B, D]
  a = rows_of(s, w.dtype, batch, c.embed_dim, s.rows);
  e.quantize(s.rows, a);
  e.linear("pool_proj", a, p.proj, Activation::none, nullptr, 0, s.pooled, D);  // pooled [B, D]
  e.norm(s.pooled, p.norm, c.layer_norm_eps, a);
  e.linear("pool_fc1", a, p.fc1, c.activation, nullptr, 0, s.hidden,
           static_cast<std::size_t>(c.mlp_dim));  // hidden [B, M]
  Rows h = rows_of(s, w.dtype, batch, c.mlp_dim, s.hidden);
  e.quantize(s.hidden, h);
  e.linear("pool_fc2", h, p.fc2, Activation::none, s.pooled, D, s.pooled, D);  // pooled += [B, D]
}

/// What the head reads where that is not `pooled`: rows [B, 2D] of CLS and the mean of the patches.
void cls_and_mean(const VitConfig& c, State& s, int batch) {
  const auto D = static_cast<std::size_t>(c.embed_dim), TD = static_cast<std::size_t>(c.num_tokens()) * D;
  for (std::size_t b = 0; b < static_cast<std::size_t>(batch); ++b) {
    std::copy_n(s.tokens + b * TD, D, s.head_rows + 2 * b * D);
    mean_of_patches(c, s.tokens + b * TD, s.head_rows + (2 * b + 1) * D);
  }
}

/// logits [B, num_labels] of the pooled rows. DeiT's second head reads the distillation token; logits and pooled are
/// then the means of the two.
void classify(Engine& e, const Weights& w, const VitConfig& c, State& s, int batch) {
  const auto labels = static_cast<std::size_t>(c.num_labels), dim = static_cast<std::size_t>(c.embed_dim);
  float* features = s.pooled;
  if (c.pool == Pool::cls_and_mean) cls_and_mean(c, s, batch), features = s.head_rows;
  Rows rows = rows_of(s, w.dtype, batch, w.head->in, features);
  e.quantize(features, rows);
  e.linear("head", rows, *w.head, Activation::none, nullptr, 0, s.logits, labels);
  if (!w.head_dist) return;
  for (std::size_t b = 0; b < static_cast<std::size_t>(batch); ++b)
    std::copy_n(s.tokens + (b * static_cast<std::size_t>(c.num_tokens()) + 1) * dim, dim, s.rows + b * dim);
  e.quantize(s.rows, rows);
  e.linear("head", rows, *w.head_dist, Activation::none, nullptr, 0, s.logits_dist, labels);
  for (std::size_t i = 0; i < static_cast<std::size_t>(batch) * labels; ++i)
    s.logits[i] = (s.logits[i] + s.logits_dist[i]) * 0.5f;
  for (std::size_t i = 0; i < static_cast<std::size_t>(batch) * dim; ++i)
    s.pooled[i] = (s.pooled[i] + s.rows[i]) * 0.5f;
}

}  // namespace

void transform(Engine& e, const Weights& w, const Plan& plan, const Block& block, State& s, int batch) {
  const VitConfig& c = plan.config;
  const int count = batch * c.num_tokens();
  const auto D = static_cast<std::size_t>(c.embed_dim), M = static_cast<std::size_t>(c.mlp_dim);
  const std::size_t TD = static_cast<std::size_t>(c.num_tokens()) * D;

  Rows a = rows_of(s, w.dtype, count, c.embed_dim, s.rows);
  e.norm(s.x, block.norm1, c.layer_norm_eps, a);                              // a [B·T, D]
  e.linear("qkv", a, block.qkv, Activation::none, nullptr, 0, s.qkv, 3 * D);  // qkv [B·T, 3D]
  for (std::size_t b = 0; plan.cos && b < static_cast<std::size_t>(batch); ++b) e.rotate(plan, s.qkv + 3 * b * TD);
  for (std::size_t b = 0; b < static_cast<std::size_t>(batch); ++b)
    e.attention(s.qkv + 3 * b * TD, 3 * D, c.num_tokens(), s.qkv + 3 * b * TD + D, s.qkv + 3 * b * TD + 2 * D, 3 * D,
                s.heads, s.rows + b * TD);                            // rows [B·T, D]
  e.quantize(s.rows, a);                                              // a [B·T, D]
  e.linear("proj", a, block.proj, Activation::none, s.x, D, s.x, D);  // x += [B·T, D]

  e.norm(s.x, block.norm2, c.layer_norm_eps, a);  // a [B·T, D]
  if (c.gated_mlp) {
    e.linear("fc1", a, block.fc1, Activation::none, nullptr, 0, s.gates, 2 * M);  // gates [B·T, 2M]
    e.swiglu(s.gates, count, c.mlp_dim, s.hidden);                                // hidden [B·T, M]
  } else {
    e.linear("fc1", a, block.fc1, c.activation, nullptr, 0, s.hidden, M);  // hidden [B·T, M]
  }
  Rows h = rows_of(s, w.dtype, count, c.mlp_dim, s.hidden);
  e.quantize(s.hidden, h);                                          // h [B·T, M]
  e.linear("fc2", h, block.fc2, Activation::none, s.x, D, s.x, D);  // x += [B·T, D]
}

void forward(Engine& e, const Weights& w, const Plan& plan, State& s, std::span<const Pixels> pictures) {
  const VitConfig& c = plan.config;
  const int batch = static_cast<int>(pictures.size()), count = batch * c.num_tokens();
  const auto D = static_cast<std::size_t>(c.embed_dim), R = static_cast<std::size_t>(c.registers);
  const std::size_t TD = static_cast<std::size_t>(c.num_tokens()) * D, BTD = static_cast<std::size_t>(batch) * TD;
  auto keep = [&, at = s.hidden_states]() mutable {
    if (at) at = std::copy_n(s.x, BTD, at);
  };

  for (std::size_t b = 0; b < pictures.size(); ++b) embed(e, w, plan, s, pictures[b], b);  // x [B·T, D]
  if (w.pre_norm) e.norm(s.x, *w.pre_norm, c.layer_norm_eps, count, c.embed_dim, s.x);     // x [B·T, D]
  keep();
  for (const Block& block : w.blocks) {
    transform(e, w, plan, block, s, batch);  // x [B·T, D]
    keep();
  }

  if (w.norm)
    e.norm(s.x, *w.norm, c.layer_norm_eps, count, c.embed_dim, s.tokens);  // tokens [B, T, D]
  else
    std::copy_n(s.x, BTD, s.tokens);
  for (std::size_t b = 0; b < pictures.size(); ++b) {
    const float* tokens = s.tokens + b * TD;
    if (c.has_cls) std::copy_n(tokens, D, s.cls + b * D);  // cls [B, D]
    std::copy_n(tokens + (static_cast<std::size_t>(c.prefix_tokens()) - R) * D, R * D, s.registers + b * R * D);
  }
  pool(e, w, c, s, batch);                  // pooled [B, D]
  if (w.head) classify(e, w, c, s, batch);  // logits [B, labels]
  if (w.pooler || w.projection) {
    Rows p = rows_of(s, w.dtype, batch, c.embed_dim, s.pooled);
    e.quantize(s.pooled, p);
    if (w.projection)  // image_embeds [B, projection_dim]
      e.linear("projection", p, *w.projection, Activation::none, nullptr, 0, s.image_embeds,
               static_cast<std::size_t>(c.projection_dim));
    if (!w.pooler) return;
    e.linear("pooler", p, *w.pooler, Activation::tanh, nullptr, 0, s.rows, D);
    std::copy_n(s.rows, static_cast<std::size_t>(batch) * D, s.pooled);
  }
}

State State::place(Layout& layout, const Engine& e, const Weights& w, const VitConfig& c, int max_batch,
                   bool keep_patch_embed, bool keep_hidden_states) {
  const bool f32 = w.dtype == DType::f32;
  const auto B = static_cast<std::size_t>(max_batch), N = static_cast<std::size_t>(c.num_patches());
  const auto T = static_cast<std::size_t>(c.num_tokens()), D = static_cast<std::size_t>(c.embed_dim);
  const auto M = static_cast<std::size_t>(c.mlp_dim), K = static_cast<std::size_t>(c.patch_size());
  const auto labels = static_cast<std::size_t>(c.num_labels);
  State s;
  s.x = layout.take<float>(B * T * D);
  s.tokens = layout.take<float>(B * T * D);
  s.cls = layout.take<float>(B * D);
  s.pooled = layout.take<float>(B * D);
  s.registers = layout.take<float>(B * static_cast<std::size_t>(c.registers) * D);
  s.image_embeds = layout.take<float>(B * static_cast<std::size_t>(c.projection_dim));
  if (c.pool == Pool::cls_and_mean) s.head_rows = layout.take<float>(B * 2 * D);
  s.logits = layout.take<float>(B * labels);
  s.logits_dist = layout.take<float>(B * labels);
  s.quant = layout.take<RowQuant>(std::max(B * T, N));
  s.rows = layout.take<float>(B * T * D);
  if (!f32) s.q = layout.take<std::uint8_t>(B * std::max(T * align_up(std::max(D, M)), align_up(2 * D)));
  if (keep_patch_embed) s.patch_embed = layout.take<float>(B * N * D);
  if (keep_hidden_states)
    s.hidden_states = layout.take<float>((static_cast<std::size_t>(c.num_layers) + 1) * B * T * D);

  // One after the other in time, so one over the other in memory.
  const std::size_t shared = layout.mark();
  s.patches = layout.take<std::uint8_t>(N * align_up(K));
  if (f32) s.patches_f32 = layout.take<float>(N * K);
  layout.rewind(shared);
  s.qkv = layout.take<float>(B * T * 3 * D);
  s.heads = layout.take<std::byte>(e.heads_bytes());
  layout.rewind(shared);
  s.hidden = layout.take<float>(B * T * M);
  if (c.gated_mlp) s.gates = layout.take<float>(B * T * 2 * M);
  layout.seal();
  return s;
}

}  // namespace vitrail
