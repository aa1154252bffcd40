// The network. Letters in the comments are State's (runtime/vit.hpp); what an operation does to its rows, and with
// which kernels, runtime/engine.hpp says.
#include "runtime/vit.hpp"

#include <algorithm>

namespace vitrail {

void embed(Engine& e, const Weights& w, const Plan& plan, State& s, const Pixels& picture, std::size_t b, bool keep) {
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
               .f = s.patches_f32,
               .ldf = static_cast<std::size_t>(c.patch_size())};
  e.patchify(plan, w, picture.data, picture.stride_bytes, patches);
  std::copy_n(w.prefix, prefix_dim, x);
  e.linear("patch_embed", patches, w.patch, Activation::none, plan.positions, dim, x + prefix_dim, dim);  // [N, D]
  if (keep)
    e.linear("patch_embed", patches, w.patch, Activation::none, nullptr, 0, s.patch_embed + b * patches_dim, dim);
}

namespace {

RowOperation slice(RowOperation o, std::size_t first, int count) {
  if (!o) return o;
  o.x += first * o.ldx;
  o.rows = slice(o.rows, first, count);
  return o;
}

/// s.qkv [B·T, 3D] of the rows a [B·T, D]: keys and values of all tokens, queries of the first `rows` of each picture.
void project(Engine& e, const Plan& plan, const Block& block, const Rows& a, State& s, int batch, int tokens,
             int rows) {
  const auto D = static_cast<std::size_t>(a.k), T = static_cast<std::size_t>(tokens);
  const auto B = static_cast<std::size_t>(batch);
  if (rows == tokens) {
    e.linear("qkv", a, block.qkv, Activation::none, nullptr, 0, s.qkv, 3 * D);
  } else {
    e.linear("keys_values", a, block.keys_values(), Activation::none, nullptr, 0, s.qkv + block.first_of_keys(), 3 * D);
    for (std::size_t b = 0; b < B; ++b)
      e.linear("queries", slice(a, b * T, rows), block.queries(), Activation::none, nullptr, 0, s.qkv + 3 * b * T * D,
               3 * D);
  }
  if (!plan.cos) return;
  for (std::size_t b = 0; b < B; ++b) e.rotate(plan, s.qkv + 3 * b * T * D, 3 * D, 2 * plan.config.num_heads);
}

/// What attention gives the first `rows` tokens of each picture: a [B·R, D].
void attend(Engine& e, const Plan& plan, const Block& block, State& s, int batch, int tokens, int rows,
            const RelativeBias* bias, float* maps, Rows& a) {
  const VitConfig& c = plan.config;
  const auto D = static_cast<std::size_t>(c.embed_dim), T = static_cast<std::size_t>(tokens);
  const auto R = static_cast<std::size_t>(rows), TD = T * D;
  e.norm(s.x, block.norm1, c.layer_norm_eps, a);       // a [B·T, D]
  project(e, plan, block, a, s, batch, tokens, rows);  // qkv [B·T, 3D]
  e.shape_attention(tokens, c.num_heads, c.head_dim());
  const bool all = rows == tokens;
  a.count = batch * rows;
  const RowOperation context = all ? Engine::quantized(s.qkv, 3 * D, a) : Engine::quantized(s.rows, D, a);
  for (std::size_t b = 0; b < static_cast<std::size_t>(batch); ++b) {
    float* qkv = s.qkv + 3 * b * TD;
    e.attention(qkv, 3 * D, rows, qkv + D, qkv + 2 * D, 3 * D, s.packed_heads, bias,
                maps ? maps + b * static_cast<std::size_t>(c.num_heads) * T * T : nullptr,
                all ? slice(context, b * T, tokens) : RowOperation{});  // queries [B·T, D]
    if (all) continue;
    for (std::size_t r = 0; r < R; ++r) std::copy_n(qkv + r * 3 * D, D, s.rows + (b * R + r) * D);  // rows [B·R, D]
  }
  if (!all) e.apply(context);  // a [B·R, D]
}

}  // namespace

void transform(Engine& e, DType dtype, const Plan& plan, const Block& block, State& s, int batch, int tokens, int rows,
               const RelativeBias* bias, float* maps, const Linear* class_keys) {
  const VitConfig& c = plan.config;
  const int count = batch * rows, own = class_keys ? std::min(rows, c.class_tokens()) : 0;
  const auto D = static_cast<std::size_t>(c.embed_dim), M = static_cast<std::size_t>(c.mlp_dim);
  const auto TD = static_cast<std::size_t>(tokens) * D, RD = static_cast<std::size_t>(rows) * D;

  Rows a = rows_of(s, dtype, batch * tokens, c.embed_dim, s.rows);
  if (own > 0) attend_class(e, plan, block, *class_keys, s, batch, tokens, own, maps != nullptr);
  if (rows > own) attend(e, plan, block, s, batch, tokens, rows, bias, maps, a);  // a [B·R, D]
  a.count = count;
  if (own > 0) put_class(e, c, s, batch, tokens, rows, own, a, maps);  // a [B·R, D]
  for (std::size_t b = 0; rows < tokens && b < static_cast<std::size_t>(batch); ++b)
    std::copy_n(s.x + b * TD, RD, s.x + b * RD);  // x [B·R, D]
  const Rows n = rows_of(s, dtype, count, c.embed_dim, s.rows);
  e.linear("proj", a, block.proj, Activation::none, s.x, D, s.x, D,     // x += [B·R, D]
           Engine::normalized(s.x, block.norm2, c.layer_norm_eps, n));  // n [B·R, D]

  Rows h = hidden_rows_of(s, dtype, count, c.mlp_dim);
  if (c.gated_mlp) {
    e.linear("fc1", n, block.fc1, Activation::none, nullptr, 0, s.gates, 2 * M);  // gates [B·R, 2M]
    e.swiglu(s.gates, count, c.mlp_dim, s.hidden);                                // hidden [B·R, M]
    e.quantize(s.hidden, M, h);                                                   // h [B·R, M]
  } else {
    const Activation at_once = Engine::activation_at_once(c.activation, h);
    e.linear("fc1", n, block.fc1, at_once, nullptr, 0, s.hidden, M,  // hidden [B·R, M]
             Engine::quantized(s.hidden, M, h, c.activation));       // h [B·R, M]
  }
  e.linear("fc2", h, block.fc2, Activation::none, s.x, D, s.x, D);  // x += [B·R, D]
}

namespace {

/// Where the result of block `index` goes; null where nobody asked.
float* slot(std::span<const int> blocks, int index, float* base, std::size_t size) {
  const auto at = std::find(blocks.begin(), blocks.end(), index);
  return at == blocks.end() ? nullptr : base + static_cast<std::size_t>(at - blocks.begin()) * size;
}

/// The pictures of a group, of a batch of B, from pixels to what is asked for.
void forward_group(Engine& e, const Weights& w, const Plan& plan, State& s, std::span<const Pixels> pictures,
                   std::size_t B, const Request& request) {
  const VitConfig& c = plan.config;
  const int batch = static_cast<int>(pictures.size()), blocks = request.blocks(w, c.num_tokens());
  const auto G = pictures.size(), D = static_cast<std::size_t>(c.embed_dim),
             T = static_cast<std::size_t>(c.num_tokens());
  const std::size_t maps_size = B * static_cast<std::size_t>(c.num_heads) * T * T;
  if (blocks == 0 && !request.wants(Outputs::patch_embed)) return;
  int tokens = c.num_tokens();
  const auto final_norm = [&](float* dst) {
    const std::size_t size = static_cast<std::size_t>(batch * tokens) * D;
    if (w.norm)
      e.norm(s.x, *w.norm, c.layer_norm_eps, batch * tokens, c.embed_dim, dst);
    else if (dst != s.x)
      std::copy_n(s.x, size, dst);
  };
  const auto keep_hidden_state = [&](std::size_t index) {
    if (request.wants(Outputs::hidden_states)) std::copy_n(s.x, G * T * D, s.hidden_states + index * B * T * D);
  };

  for (std::size_t b = 0; b < G; ++b)
    embed(e, w, plan, s, pictures[b], b, request.wants(Outputs::patch_embed));                   // x [G·T, D]
  if (w.pre_norm) e.norm(s.x, *w.pre_norm, c.layer_norm_eps, batch * tokens, c.embed_dim, s.x);  // x [G·T, D]
  keep_hidden_state(0);
  for (int i = 0; i < blocks; ++i) {
    const auto block = static_cast<std::size_t>(i);
    const bool last = i + 1 == c.num_layers;
    const int rows = last ? request.last_rows(w, tokens) : tokens;
    float* maps = slot(request.attention_layers, i, s.attentions, maps_size);
    transform(e, w.dtype, plan, w.blocks[block], s, batch, tokens, rows,
              plan.biases.empty() ? nullptr : &plan.biases[block], maps,
              last ? request.class_keys(w, c.num_tokens()) : nullptr);  // x [G·R, D]
    tokens = rows;
    keep_hidden_state(block + 1);
    float* layer = slot(request.layers, i, s.layers, B * T * D);
    if (layer) request.norm_layers ? final_norm(layer) : static_cast<void>(std::copy_n(s.x, G * T * D, layer));
  }
  if (blocks < c.num_layers) return;

  final_norm(s.x);  // x [G, R, D]
  const auto R = static_cast<std::size_t>(tokens), prefix = static_cast<std::size_t>(c.prefix_tokens());
  const auto registers = static_cast<std::size_t>(c.registers);
  for (std::size_t b = 0; b < G; ++b) {
    const float* of_picture = s.x + b * R * D;
    if (c.has_cls) std::copy_n(of_picture, D, s.cls + b * D);  // cls [G, D]
    if (request.wants(Outputs::registers))
      std::copy_n(of_picture + (prefix - registers) * D, registers * D, s.registers + b * registers * D);
  }
  if (request.pools(w)) run_heads(e, w, c, s, batch, tokens, request);
}

}  // namespace

void forward(Engine& e, const Weights& w, const Plan& plan, State& s, std::span<const Pixels> pictures,
             const Request& request) {
  const std::size_t B = pictures.size();
  const auto group = static_cast<std::size_t>(group_size(static_cast<int>(B), e.threads()));
  for (std::size_t first = 0; first < B; first += group) {
    State of_group = s.from(first, plan.config);
    forward_group(e, w, plan, of_group, pictures.subspan(first, std::min(group, B - first)), B, request);
  }
}

}  // namespace vitrail
