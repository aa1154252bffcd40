// A Vision Transformer (Dosovitskiy et al. 2020; DeiT: Touvron et al. 2020), from pixels to logits.
#pragma once

#include <algorithm>
#include <span>

#include "runtime/engine.hpp"
#include "runtime/plan.hpp"
#include "runtime/weights.hpp"
#include "vitrail/session.hpp"

namespace vitrail {

/// What one run is to give.
struct Request {
  Outputs outputs = Outputs::standard;
  std::span<const int> layers, attention_layers;  ///< blocks, each 0 … L − 1
  bool norm_layers = true;
  bool reconstruct = false;
  DType attention = DType::int8;

  bool wants(Outputs any) const { return has(outputs, any); }
  static bool includes(std::span<const int> blocks, int block) {
    return std::find(blocks.begin(), blocks.end(), block) != blocks.end();
  }
  /// Whether something is made of the pooled vector, or it is wanted itself.
  bool pools(const Weights& w) const;
  bool classifies(const Weights& w) const;
  /// Tokens of each picture that the last block must give, the first ones; 0: none.
  int last_rows(const Weights& w, int tokens) const;
  /// With which class tokens attend by attend_class in the last block; null: as all tokens, because that is less work
  /// for so few of them, or nothing runs it.
  const Linear* class_keys(const Weights& w, int tokens) const {
    const bool pays = w.config.class_tokens() * w.config.num_heads < tokens;
    return w.class_keys && attention == DType::int8 && pays && last_rows(w, tokens) > 0 ? &*w.class_keys : nullptr;
  }
  /// Blocks that must run.
  int blocks(const Weights& w, int tokens) const;
};

/// How many pictures of a batch go through the network together, the others after them: one for each thread. More
/// would only make the activations too large for the caches.
inline int group_size(int batch, int threads) { return batch < threads ? batch : threads; }

/// The activations of one session, for B pictures at most, G of them together; shapes with T = tokens, D = embed_dim,
/// M = mlp_dim, N = patches. The big buffers share memory where their lives do not overlap.
struct State {
  float* x = nullptr;                     ///< [B, T, D] the residual stream; at the end its LayerNorm
  std::uint8_t* q = nullptr;              ///< [G·T, D] u8 rows, int8 only; of heads [G, widest row], of class
                                          ///< tokens [C·heads, D]
  std::uint8_t* hidden_q = nullptr;       ///< [G·T, M] the same of `hidden`
  RowQuant* quant = nullptr;              ///< of the rows of q, hidden_q or patches
  std::uint8_t* patches = nullptr;        ///< [N, P·P·C rounded up to 64], one picture
  float* patches_f32 = nullptr;           ///< [N, P·P·C], f32 only
  float* qkv = nullptr;                   ///< [G·T, 3D]; attention's output takes the queries' place
  std::byte* packed_heads = nullptr;      ///< one picture's keys and values, packed
  float* rows = nullptr;                  ///< [G·R, D], R rows at the front; f32: [G·T, D] normalised rows
  float* class_rows = nullptr;            ///< [G·C, D] with Weights::class_keys, C class tokens
  float* normed = nullptr;                ///< [T, D] of one picture, for class_rows as the next four
  float* smoothed = nullptr;              ///< [T, D] the same, each channel over its root
  float* channel_roots = nullptr;         ///< [D]
  float* class_queries = nullptr;         ///< [C·heads, D]
  float* class_values = nullptr;          ///< [C·heads, D and less than a panel]
  float* class_maps = nullptr;            ///< [G·C·heads, T], when the last block's are kept
  float* hidden = nullptr;                ///< [G·T, M] inside the MLP
  float* gates = nullptr;                 ///< [G·T, 2M] SwiGLU's two halves
  float* cls = nullptr;                   ///< [B, D]
  float* pooled = nullptr;                ///< [B, D]
  float* registers = nullptr;             ///< [B, registers, D]
  float* image_embeds = nullptr;          ///< [B, projection_dim]
  float* head_rows = nullptr;             ///< [B, 2D] with Pool::cls_and_mean
  float* logits = nullptr;                ///< [B, num_labels]
  float* logits_dist = nullptr;           ///< [B, num_labels] of the distillation head
  float* patch_embed = nullptr;           ///< [B, N, D], when kept
  float* hidden_states = nullptr;         ///< [L + 1, B, T, D], when kept
  float* layers = nullptr;                ///< [layers, B, T, D], when kept
  float* attentions = nullptr;            ///< [attention_layers, B, heads, T, T], when kept
  float* predictions = nullptr;           ///< [N, P·P·C] of a decoder
  std::uint8_t* pixel_patches = nullptr;  ///< [N, P·P·C]
  std::uint8_t *predicted = nullptr, *whole = nullptr;  ///< [H, W, C]

  /// Places all of them in `layout`.
  static State place(Layout& layout, const Engine& e, const Weights& w, const Plan& largest, int max_batch,
                     const Request& request);

  /// The same from picture `first` on: what is kept for each picture begins there, the rest is shared.
  State from(std::size_t first, const VitConfig& c) const;
};

/// Rows of `k` elements for the next product: u8 in int8, f32 (in `f`) otherwise.
Rows rows_of(const State& s, DType dtype, int count, int k, float* f);
/// The same inside the MLP.
Rows hidden_rows_of(const State& s, DType dtype, int count, int k);

/// Rows first … first + count − 1.
Rows slice(Rows rows, std::size_t first, int count);

/// One picture of exactly the plan's size: u8 [image_height, image_width, channels].
struct Pixels {
  const std::uint8_t* data;
  std::ptrdiff_t stride_bytes;
};

/// Picture `b` → x [T, D] of its tokens: CLS, distillation and register tokens, then patch i · W + b + position i.
/// @param keep  the patches go to s.patch_embed too, without their positions
void embed(Engine& e, const Weights& w, const Plan& plan, State& s, const Pixels& picture, std::size_t b,
           bool keep = false);

/// One encoder block on s.x [batch, tokens, D], in place: x += attention(norm(x)), x += mlp(norm(x)).
/// @param rows  tokens of each picture that go on, the first ones: x is [batch, rows, D] afterwards
/// @param bias  what attention adds to its scores, or null
/// @param maps  room for attention weights [batch, heads, tokens, tokens], or null; needs all rows
/// @param class_keys  class tokens attend by attend_class, or null
void transform(Engine& e, DType dtype, const Plan& plan, const Block& block, State& s, int batch, int tokens, int rows,
               const RelativeBias* bias = nullptr, float* maps = nullptr, const Linear* class_keys = nullptr);

/// What attention gives the first `rows` tokens of each picture, class tokens, in s.class_rows.
/// Needs the room of s.qkv for a while; s.x stays as it is.
/// @param maps  their attention weights are wanted too, in s.class_maps
void attend_class(Engine& e, const Plan& plan, const Block& block, const Linear& class_keys, State& s, int batch,
                  int tokens, int rows, bool maps);
/// Puts it in the place of the first `own` of each picture's rows: a [batch · rows, D], maps as transform's.
void put_class(Engine& e, const VitConfig& c, const State& s, int batch, int tokens, int rows, int own, const Rows& a,
               float* maps);

/// What is read from the last tokens x [batch, tokens, D]: s.pooled, s.logits, s.image_embeds. tokens = 1: CLS alone.
void run_heads(Engine& e, const Weights& w, const VitConfig& c, State& s, int batch, int tokens,
               const Request& request);

/// Fills what `request` names. Does not allocate or throw.
void forward(Engine& e, const Weights& w, const Plan& plan, State& s, std::span<const Pixels> pictures,
             const Request& request);

}  // namespace vitrail
