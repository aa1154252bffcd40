// A Vision Transformer (Dosovitskiy et al. 2020; DeiT: Touvron et al. 2020), from pixels to logits.
#pragma once

#include <span>

#include "runtime/engine.hpp"
#include "runtime/plan.hpp"
#include "runtime/weights.hpp"

namespace vitrail {

/// The activations of one session, for B pictures at most; shapes with T = tokens, D = embed_dim, M = mlp_dim, N =
/// patches. The big buffers share memory where their lives do not overlap.
struct State {
  float* x = nullptr;               ///< [B, T, D] the residual stream
  std::uint8_t* q = nullptr;        ///< [B·T, widest row] u8 rows, int8 only
  RowQuant* quant = nullptr;        ///< [B·T]
  std::uint8_t* patches = nullptr;  ///< [N, P·P·C rounded up to 64], one picture
  float* patches_f32 = nullptr;     ///< [N, P·P·C], f32 only
  float* qkv = nullptr;             ///< [B·T, 3D]
  std::byte* heads = nullptr;       ///< one picture's keys and values, packed
  float* rows = nullptr;            ///< [B·T, D] attention's output; normalised rows in f32
  float* hidden = nullptr;          ///< [B·T, M] inside the MLP
  float* gates = nullptr;           ///< [B·T, 2M] SwiGLU's two halves
  float* tokens = nullptr;          ///< [B, T, D] after the final LayerNorm
  float* cls = nullptr;             ///< [B, D]
  float* pooled = nullptr;          ///< [B, D]
  float* registers = nullptr;       ///< [B, registers, D]
  float* image_embeds = nullptr;    ///< [B, projection_dim]
  float* head_rows = nullptr;       ///< [B, 2D] with Pool::cls_and_mean
  float* logits = nullptr;          ///< [B, num_labels]
  float* logits_dist = nullptr;     ///< [B, num_labels] of the distillation head
  float* patch_embed = nullptr;     ///< [B, N, D], when kept
  float* hidden_states = nullptr;   ///< [L + 1, B, T, D], when kept

  /// Places all of them in `layout`.
  static State place(Layout& layout, const Engine& e, const Weights& w, const VitConfig& c, int max_batch,
                     bool keep_patch_embed, bool keep_hidden_states);
};

/// One picture of exactly the session's size: u8 [image_height, image_width, channels].
struct Pixels {
  const std::uint8_t* data;
  std::ptrdiff_t stride_bytes;
};

/// One encoder block on s.x [batch, T, D], in place: x += attention(norm(x)), x += mlp(norm(x)).
void transform(Engine& e, const Weights& w, const Plan& plan, const Block& block, State& s, int batch);

/// Fills tokens, cls, pooled and logits of `s` for `pictures`. Does not allocate or throw.
void forward(Engine& e, const Weights& w, const Plan& plan, State& s, std::span<const Pixels> pictures);

}  // namespace vitrail
