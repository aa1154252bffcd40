// A network ready to run: weights quantised, packed and folded once, at load. Immutable; shared by all sessions.
#pragma once

#include <optional>
#include <vector>

#include "runtime/kernels.hpp"
#include "runtime/model/network.hpp"
#include "runtime/storage.hpp"
#include "vitrail/model.hpp"

namespace vitrail {

/// y = x·Wᵀ + b. Exactly one of s8 and f32 holds the weights, by the model's dtype.
struct Linear {
  int in = 0, out = 0;
  PackedS8 s8;
  PackedF32 f32;
  const float* col_scale = nullptr;       ///< [out], int8 only: w = col_scale · s8
  const std::int32_t* col_sum = nullptr;  ///< [out], int8 only: Σ_k s8
  const float* bias = nullptr;            ///< [out], or null for zeros
  PackedS8 next;                          ///< int8: the weights of the layer that comes after this one, or none

  /// Outputs first … first + count − 1 as a layer of their own; `first` is a multiple of PackedS8::panel.
  Linear part(int first, int count) const;
};

struct Norm {
  const float* gamma = nullptr;  ///< [D]
  const float* beta = nullptr;   ///< [D]
};

struct Block {
  Norm norm1;
  Linear qkv;   ///< D → 3D: queries, keys, values
  Linear proj;  ///< D → D
  Norm norm2;
  Linear fc1;                   ///< D → M, or 2M (SwiGLU)
  Linear fc2;                   ///< M → D
  const float* bias = nullptr;  ///< [distances, num_heads], PositionRule::relative only

  /// Parts of qkv for tokens that ask and tokens that are looked at. The second one begins at a panel, so it may have
  /// some columns of queries, too.
  Linear queries() const { return qkv.part(0, qkv.in); }
  Linear keys_values() const { return qkv.part(first_of_keys(), qkv.out - first_of_keys()); }
  Linear values() const { return qkv.part(first_of_values(), qkv.out - first_of_values()); }
  int first_of_keys() const { return qkv.in / PackedS8::panel * PackedS8::panel; }
  int first_of_values() const { return 2 * qkv.in / PackedS8::panel * PackedS8::panel; }
};

struct AttentionPool {
  const float* query = nullptr;  ///< [D] the learned query after its projection: the same for every picture
  Linear key_value;              ///< D → 2D
  Linear proj;                   ///< D → D
  Norm norm;
  Linear fc1;  ///< D → M
  Linear fc2;  ///< M → D
};

/// Of a masked autoencoder; D and M are its own.
struct Decoder {
  VitConfig config;                   ///< the encoder's, but for its sizes
  Linear embed;                       ///< encoder's D → D
  const float* mask_token = nullptr;  ///< [D]
  const float* positions = nullptr;   ///< [1 + table_rows · table_columns, D], CLS first
  std::vector<Block> blocks;
  Norm norm;
  Linear pixels;  ///< D → P·P·C
};

struct Weights {
  VitConfig config;
  DType dtype = DType::int8;
  LayoutS8 layout;             ///< of all PackedS8
  const char* gemm_name = "";  ///< the class of int8 product it is the layout of
  Linear patch;  ///< P·P·C → D, HWC order. int8: on raw u8 pixels, with rescale, mean and std folded in
  const float* pixel_values =
      nullptr;  ///< f32 only: [channels, 256], (pixel·rescale − mean)/std; folding would cancel digits
  const float* prefix = nullptr;     ///< [prefix_tokens, D]: CLS, distillation token (with positions), registers
  const float* positions = nullptr;  ///< [table_rows · table_columns, D]; null: rotary
  std::vector<Block> blocks;
  std::optional<Linear> class_keys;  ///< D → D, int8: the last block's key weights, transposed (class_attention.cpp)
  std::optional<Norm> pre_norm, norm, pool_norm;
  std::optional<AttentionPool> attention_pool;
  std::optional<Linear> pooler, projection, head, head_dist;
  std::optional<Decoder> decoder;
  std::uint64_t parameters = 0;
  Storage storage;
};

/// Converts, checks for NaN and infinity, quantises (int8: per output channel, w ≈ absmax/127 · q) and packs.
/// Same bits for any number of threads and on any machine. Frees nothing of `source`.
Result<Weights> pack_weights(const NetworkSource& source, const LoadOptions& options);

}  // namespace vitrail
