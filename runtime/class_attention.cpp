// How class tokens attend in the last block, where a head reads them alone. What one asks of a token x is
//     q · (W x + b) = (Wᵀ q) · x + what is the same for all x, which softmax does not see (W, b: of the keys)
// and what it is given is
//     Σ p (W x + b) = W (Σ p x) + b (W, b: of the values).
// So W is multiplied with a vector per head instead of one per token, and the tokens themselves are keys and values of
// all heads: attention with many queries and one head as wide as a token. Logits then need no keys and values of the
// last block. Where all its tokens are wanted, class tokens attend so besides, so that no bit depends on what is asked
// for.
#include <algorithm>
#include <cmath>

#include "runtime/vit.hpp"

namespace vitrail {
namespace {

/// f(query, its row, its head) for queries [rows, heads].
template <class F>
void each_query(std::size_t rows, std::size_t heads, F f) {
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t h = 0; h < heads; ++h) f(r * heads + h, r, h);
}

/// Tokens x [T, D] as keys: each channel over the root of its largest magnitude, which goes to `roots` [D] for the
/// queries (SmoothQuant: Xiao et al. 2022). A token has one step for all its channels, and in trained networks a few of
/// these are many times as large as the others.
void smooth_channels(const float* x, std::size_t tokens, std::size_t dim, float* keys, float* roots) {
  std::fill_n(roots, dim, 1e-30f);
  for (std::size_t t = 0; t < tokens; ++t)
    for (std::size_t d = 0; d < dim; ++d) roots[d] = std::max(roots[d], std::fabs(x[t * dim + d]));
  for (std::size_t d = 0; d < dim; ++d) roots[d] = std::sqrt(roots[d]);
  for (std::size_t t = 0; t < tokens; ++t)
    for (std::size_t d = 0; d < dim; ++d) keys[t * dim + d] = x[t * dim + d] / roots[d];
}

/// own [R, D] = what attention gives to the first R of the tokens x [T, D].
void attend_class(Engine& e, const VitConfig& c, const Block& block, const Linear& class_keys, const State& s,
                  const float* x, int tokens, int rows, float* own, float* maps) {
  const auto D = static_cast<std::size_t>(c.embed_dim), d = static_cast<std::size_t>(c.head_dim());
  const auto R = static_cast<std::size_t>(rows), H = static_cast<std::size_t>(c.num_heads);
  const int queries = rows * c.num_heads;

  e.norm(x, block.norm1, c.layer_norm_eps, tokens, c.embed_dim, s.normed);  // normed [T, D]
  Rows a = rows_of(s, DType::int8, rows, c.embed_dim, nullptr);
  e.quantize(s.normed, D, a);
  e.linear("queries", a, block.queries(), Activation::none, nullptr, 0, own, D);  // own [R, D]

  float* of_heads = s.class_queries;  // [R·H, D], zero but for a head's own elements
  std::fill_n(of_heads, R * H * D, 0.0f);
  each_query(R, H, [&](auto q, auto r, auto h) { std::copy_n(own + r * D + h * d, d, of_heads + q * D + h * d); });
  a = rows_of(s, DType::int8, queries, c.embed_dim, nullptr);
  e.quantize(of_heads, D, a);
  e.linear("keys", a, class_keys, Activation::none, nullptr, 0, of_heads, D);                   // of_heads [R·H, D]
  smooth_channels(s.normed, static_cast<std::size_t>(tokens), D, s.smoothed, s.channel_roots);  // smoothed [T, D]
  each_query(R, H, [&](auto q, auto, auto) {
    for (std::size_t i = 0; i < D; ++i) of_heads[q * D + i] *= s.channel_roots[i];
  });
  e.shape_attention(tokens, 1, c.embed_dim, 1.0f / std::sqrt(static_cast<float>(d)));
  e.attention(of_heads, D, queries, s.smoothed, s.normed, D, s.packed_heads, nullptr, maps);  // of_heads [R·H, D]

  const Linear values = block.values();
  const auto ld = static_cast<std::size_t>(values.out);
  e.quantize(of_heads, D, a);
  e.linear("values", a, values, Activation::none, nullptr, 0, s.class_values, ld);  // [R·H, D and what comes before]
  const float* given = s.class_values + ld - D;
  each_query(R, H, [&](auto q, auto r, auto h) { std::copy_n(given + q * ld + h * d, d, own + r * D + h * d); });
}

}  // namespace

void attend_class(Engine& e, const Plan& plan, const Block& block, const Linear& class_keys, State& s, int batch,
                  int tokens, int rows, bool maps) {
  const VitConfig& c = plan.config;
  const auto D = static_cast<std::size_t>(c.embed_dim), T = static_cast<std::size_t>(tokens);
  const auto R = static_cast<std::size_t>(rows), RH = R * static_cast<std::size_t>(c.num_heads);
  for (std::size_t b = 0; b < static_cast<std::size_t>(batch); ++b)
    attend_class(e, c, block, class_keys, s, s.x + b * T * D, tokens, rows, s.class_rows + b * R * D,
                 maps ? s.class_maps + b * RH * T : nullptr);
}

void put_class(Engine& e, const VitConfig& c, const State& s, int batch, int tokens, int rows, int own, const Rows& a,
               float* maps) {
  const auto D = static_cast<std::size_t>(c.embed_dim), T = static_cast<std::size_t>(tokens);
  const auto C = static_cast<std::size_t>(own), H = static_cast<std::size_t>(c.num_heads);
  for (std::size_t b = 0; b < static_cast<std::size_t>(batch); ++b) {
    Rows of_class = slice(a, b * static_cast<std::size_t>(rows), own);
    e.quantize(s.class_rows + b * C * D, D, of_class);
    if (!maps) continue;
    const float* own_maps = s.class_maps + b * C * H * T;  // [C, H, T]
    each_query(C, H,
               [&](auto q, auto r, auto h) { std::copy_n(own_maps + q * T, T, maps + ((b * H + h) * T + r) * T); });
  }
}

}  // namespace vitrail
