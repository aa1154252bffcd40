// What is read from the tokens behind the last block: pooling, classifiers, projection, pooler.
#include <algorithm>

#include "runtime/vit.hpp"

namespace vitrail {
namespace {

/// dst [D] = the mean of the patch rows of `tokens` [T, D].
void mean_of_patches(const VitConfig& c, const float* tokens, float* dst) {
  const auto dim = static_cast<std::size_t>(c.embed_dim);
  const float* patches = tokens + static_cast<std::size_t>(c.prefix_tokens()) * dim;
  std::fill_n(dst, dim, 0.0f);
  for (int i = 0; i < c.num_patches(); ++i)
    for (std::size_t d = 0; d < dim; ++d) dst[d] += patches[static_cast<std::size_t>(i) * dim + d];
  for (std::size_t d = 0; d < dim; ++d) dst[d] /= static_cast<float>(c.num_patches());
}

/// pooled [B, D] of the tokens [B, T, D]: the CLS row, the mean of the patch rows, or what a learned query finds in all
/// rows.
void pool(Engine& e, const Weights& w, const VitConfig& c, State& s, int batch, int tokens) {
  const auto D = static_cast<std::size_t>(c.embed_dim), TD = static_cast<std::size_t>(tokens) * D;
  for (std::size_t b = 0; b < static_cast<std::size_t>(batch); ++b) {
    if (c.pool == Pool::mean)
      mean_of_patches(c, s.x + b * TD, s.pooled + b * D);
    else if (c.pool != Pool::attention)
      std::copy_n(s.x + b * TD, D, s.pooled + b * D);
  }
  if (w.pool_norm) e.norm(s.pooled, *w.pool_norm, c.layer_norm_eps, batch, c.embed_dim, s.pooled);
  if (!w.attention_pool) return;

  const AttentionPool& p = *w.attention_pool;
  Rows a = rows_of(s, w.dtype, batch * tokens, c.embed_dim, s.x);
  e.quantize(s.x, D, a);
  e.linear("pool_kv", a, p.key_value, Activation::none, nullptr, 0, s.qkv, 2 * D);  // key, value [B·T, 2D]
  for (std::size_t b = 0; b < static_cast<std::size_t>(batch); ++b) {
    std::copy_n(p.query, D, s.rows + b * D);
    e.attention(s.rows + b * D, D, 1, s.qkv + 2 * b * TD, s.qkv + 2 * b * TD + D, 2 * D,
                s.packed_heads);  // rows [B, D]
  }
  a = rows_of(s, w.dtype, batch, c.embed_dim, s.rows);
  e.quantize(s.rows, D, a);
  e.linear("pool_proj", a, p.proj, Activation::none, nullptr, 0, s.pooled, D);  // pooled [B, D]
  e.norm(s.pooled, p.norm, c.layer_norm_eps, a);
  Rows h = hidden_rows_of(s, w.dtype, batch, c.mlp_dim);
  e.linear("pool_fc1", a, p.fc1, Engine::activation_at_once(c.activation, h), nullptr, 0, s.hidden,
           static_cast<std::size_t>(c.mlp_dim));  // hidden [B, M]
  e.quantize(s.hidden, static_cast<std::size_t>(c.mlp_dim), h, c.activation);
  e.linear("pool_fc2", h, p.fc2, Activation::none, s.pooled, D, s.pooled, D);  // pooled += [B, D]
}

/// What the head reads where that is not `pooled`: rows [B, 2D] of CLS and the mean of the patches.
void cls_and_mean(const VitConfig& c, State& s, int batch) {
  const auto D = static_cast<std::size_t>(c.embed_dim), TD = static_cast<std::size_t>(c.num_tokens()) * D;
  for (std::size_t b = 0; b < static_cast<std::size_t>(batch); ++b) {
    std::copy_n(s.x + b * TD, D, s.head_rows + 2 * b * D);
    mean_of_patches(c, s.x + b * TD, s.head_rows + (2 * b + 1) * D);
  }
}

/// logits [B, num_labels] of the pooled rows. DeiT's second head reads the distillation token; logits and pooled are
/// then the means of the two.
void classify(Engine& e, const Weights& w, const VitConfig& c, State& s, int batch, int tokens) {
  const auto labels = static_cast<std::size_t>(c.num_labels), dim = static_cast<std::size_t>(c.embed_dim);
  float* features = s.pooled;
  if (c.pool == Pool::cls_and_mean) cls_and_mean(c, s, batch), features = s.head_rows;
  Rows rows = rows_of(s, w.dtype, batch, w.head->in, features);
  e.quantize(features, static_cast<std::size_t>(w.head->in), rows);
  e.linear("head", rows, *w.head, Activation::none, nullptr, 0, s.logits, labels);
  if (!w.head_dist) return;
  for (std::size_t b = 0; b < static_cast<std::size_t>(batch); ++b)
    std::copy_n(s.x + (b * static_cast<std::size_t>(tokens) + 1) * dim, dim, s.rows + b * dim);
  e.quantize(s.rows, dim, rows);
  e.linear("head", rows, *w.head_dist, Activation::none, nullptr, 0, s.logits_dist, labels);
  for (std::size_t i = 0; i < static_cast<std::size_t>(batch) * labels; ++i)
    s.logits[i] = (s.logits[i] + s.logits_dist[i]) * 0.5f;
  for (std::size_t i = 0; i < static_cast<std::size_t>(batch) * dim; ++i)
    s.pooled[i] = (s.pooled[i] + s.rows[i]) * 0.5f;
}

}  // namespace

void run_heads(Engine& e, const Weights& w, const VitConfig& c, State& s, int batch, int tokens,
               const Request& request) {
  const auto D = static_cast<std::size_t>(c.embed_dim);
  pool(e, w, c, s, batch, tokens);                                 // pooled [B, D]
  if (request.classifies(w)) classify(e, w, c, s, batch, tokens);  // logits [B, labels]
  const bool project = w.projection && request.wants(Outputs::image_embeds);
  const bool finish = w.pooler && request.wants(Outputs::pooled);
  if (!project && !finish) return;
  Rows p = rows_of(s, w.dtype, batch, c.embed_dim, s.pooled);
  e.quantize(s.pooled, D, p);
  if (project)  // image_embeds [B, projection_dim]
    e.linear("projection", p, *w.projection, Activation::none, nullptr, 0, s.image_embeds,
             static_cast<std::size_t>(c.projection_dim));
  if (!finish) return;
  e.linear("pooler", p, *w.pooler, Activation::tanh, nullptr, 0, s.rows, D);
  std::copy_n(s.rows, static_cast<std::size_t>(batch) * D, s.pooled);
}

}  // namespace vitrail
