// A network as its files describe it, before anything is quantised: the loader's result and the packer's input.
// Every TensorView borrows bytes of a mapped file; families differ only in which file names they put where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/kernels.hpp"
#include "runtime/model/mapped_file.hpp"
#include "vitrail/error.hpp"
#include "vitrail/model.hpp"
#include "vitrail/preprocess.hpp"

namespace vitrail {

/// What `pooled` is and the classification head reads: the CLS token, the mean of the N patch tokens, the CLS token
/// followed by that mean (the head only; `pooled` is CLS), or what a learned query finds in the tokens (SigLIP).
enum class Pool { cls, mean, cls_and_mean, attention };

/// How a network knows where a patch is, and what happens at another size than its table's. The rules are those of
/// torch.nn.functional.interpolate with align_corners=False.
enum class PositionRule {
  bicubic,            ///< a table, resampled with the cubic of a = −0.75
  bicubic_antialias,  ///< a table, resampled with the cubic of a = −0.5, widened where the grid gets smaller
  rotary,             ///< no table: queries and keys of patches are rotated
  relative,           ///< no table on the tokens: each block adds a bias to its scores by the distance of two patches
};

/// The decoder of a masked autoencoder: encoder blocks of another size.
struct DecoderConfig {
  int embed_dim = 0, num_layers = 0, num_heads = 0, mlp_dim = 0;
  double mask_ratio = 0.75;
  bool norm_pix_loss = false;  ///< predicts pixels of which each patch had its mean taken off and its deviation made 1
};

/// timm's evaluation transform: a resize that covers (squash: is; border: fits into) size / pct, then the middle.
struct TimmCrop {
  enum class Mode { center, squash, border } mode = Mode::center;
  double pct = 0.875;  ///< timm's DEFAULT_CROP_PCT
  Resampling filter = Resampling::bicubic;
};

/// The hyper-parameters of a network, checked: every number is in a range that cannot overflow later arithmetic.
struct VitConfig {
  std::string family;  ///< as family.cpp lists them; of timm's networks, architecture.cpp
  std::string format;  ///< "huggingface" or "timm"
  int image_height = 0, image_width = 0, channels = 0;
  int patch_height = 0, patch_width = 0;
  int embed_dim = 0;   ///< D, a multiple of num_heads
  int num_layers = 0;  ///< L ≥ 1
  int num_heads = 0;
  int mlp_dim = 0;     ///< M
  int num_labels = 0;  ///< 0: no head
  bool has_cls = true;
  bool has_dist = false;        ///< DeiT's distillation token, after CLS
  int registers = 0;            ///< tokens without position, after CLS and distillation token
  bool position_prefix = true;  ///< the position table covers CLS and distillation tokens too
  PositionRule positions = PositionRule::bicubic;
  bool resizes_itself = false;  ///< Python resamples positions unasked, so the preprocessor's size is the network's own
  int table_rows = 0, table_columns = 0;  ///< patches the position table was made for; image_… may differ
  float rotary_base = 0;
  bool gated_mlp = false;  ///< SwiGLU: fc1 makes 2M values
  int projection_dim = 0;  ///< of image_embeds; 0: none
  Activation activation = Activation::gelu_erf;
  float layer_norm_eps = 1e-12f;
  Pool pool = Pool::cls;
  std::optional<DecoderConfig> decoder;
  std::vector<std::string> labels;
  PreprocessConfig preprocess;
  std::optional<TimmCrop> timm_crop;  ///< what `preprocess` was made from, where timm makes it for any size

  int grid_rows() const { return image_height / patch_height; }
  int grid_columns() const { return image_width / patch_width; }
  int num_patches() const { return grid_rows() * grid_columns(); }  ///< N
  int prefix_tokens() const { return int{has_cls} + int{has_dist} + registers; }
  int class_tokens() const { return int{has_cls} + int{has_dist}; }
  /// Whether a head that asks asks only for class tokens, and keys are tokens times a matrix: see class_attention.cpp.
  bool attends_class_apart() const {
    return has_cls && pool == Pool::cls && positions != PositionRule::rotary && positions != PositionRule::relative;
  }
  int num_tokens() const { return prefix_tokens() + num_patches(); }  ///< T
  int head_dim() const { return embed_dim / num_heads; }
  int patch_size() const { return patch_height * patch_width * channels; }  ///< K of the patch embedding
};

/// A tensor in a file: shape and dtype are checked against the file's size when the file is opened.
struct TensorView {
  enum class Type { f32, f16, bf16 };
  std::string name;  ///< as the file has it, for messages
  Type type = Type::f32;
  std::vector<std::int64_t> shape;
  const std::byte* data = nullptr;      ///< little-endian, any alignment
  const MappedFile* mapping = nullptr;  ///< the file data is in, if any

  std::int64_t elements() const {
    std::int64_t n = 1;
    for (auto d : shape) n *= d;
    return n;
  }
  std::size_t size_bytes() const { return static_cast<std::size_t>(elements()) * (type == Type::f32 ? 4 : 2); }

  /// What was read is not read again: its pages need not stay in memory.
  void drop_pages() const {
    if (mapping && data) mapping->drop_pages(data, size_bytes());
  }

  /// Rows [first, first + count) of a tensor whose first axis they are; what is not there stays so.
  TensorView rows(std::int64_t first, std::int64_t count) const {
    TensorView part = *this;
    if (!data) return part;
    part.shape[0] = count;
    const std::int64_t row = elements() / shape[0];
    part.data += first * row * (type == Type::f32 ? 4 : 2);
    return part;
  }
};

/// Converts elements [first, first + count) of a tensor to f32 (exact for all three types).
void to_f32(const TensorView& tensor, std::int64_t first, std::int64_t count, float* dst);

/// y = x·Wᵀ + b. Parts are stacked along the output axis (q, k, v stored apart become one product).
struct LinearSource {
  std::vector<TensorView> weights;                ///< each [out_i, in]
  std::vector<std::optional<TensorView>> biases;  ///< one per part, [out_i] or absent (= zeros)
};

struct NormSource {
  TensorView weight, bias;  ///< [D]
};

struct BlockSource {
  NormSource norm1;
  LinearSource qkv;   ///< [3D, D]: q, k, v
  LinearSource proj;  ///< [D, D]
  NormSource norm2;
  LinearSource fc1;                          ///< [M, D]; SwiGLU: [2M, D]
  LinearSource fc2;                          ///< [D, M]
  std::optional<TensorView> scale1, scale2;  ///< [D] LayerScale on what attention and MLP add (Touvron et al. 2021)
  std::optional<TensorView> bias;            ///< [distances, num_heads] with PositionRule::relative
};

/// SigLIP's pooling: a learned query attends to the tokens, then x + mlp(norm(x)).
struct AttentionPoolSource {
  TensorView probe;               ///< [D]
  LinearSource query, key_value;  ///< [D, D], [2D, D]
  LinearSource proj;              ///< [D, D]
  NormSource norm;
  LinearSource fc1, fc2;  ///< [M, D], [D, M]
};

struct DecoderSource {
  LinearSource embed;     ///< [decoder dim, D]
  TensorView mask_token;  ///< [decoder dim] in the place of patches that were hidden
  TensorView positions;   ///< [1 + N of the table, decoder dim]
  std::vector<BlockSource> blocks;
  NormSource norm;
  LinearSource pixels;  ///< [P·P·C, decoder dim]
};

/// All tensors of a network, shapes checked against the configuration.
struct NetworkSource {
  VitConfig config;
  TensorView patch_weight;               ///< [D, C, patch_height, patch_width], a convolution's
  std::optional<TensorView> patch_bias;  ///< [D]
  std::optional<TensorView> cls, dist;   ///< D elements each
  std::optional<TensorView> registers;   ///< [registers, D]
  std::optional<TensorView> positions;   ///< [T or N of the table, D] (leading 1s allowed)
  std::optional<NormSource> pre_norm;    ///< on every token, before the first block (CLIP)
  std::vector<BlockSource> blocks;       ///< num_layers
  std::optional<NormSource> norm;        ///< on every token, after the last block
  std::optional<NormSource> pool_norm;   ///< on the pooled vector (timm's fc_norm)
  std::optional<LinearSource> pooler;    ///< [D, D], tanh: transformers' pooler
  std::optional<AttentionPoolSource> attention_pool;
  std::optional<LinearSource> projection;  ///< [projection_dim, D] on the pooled vector
  std::optional<LinearSource> head;        ///< [num_labels, D]; [num_labels, 2D] with Pool::cls_and_mean
  std::optional<LinearSource>
      head_dist;  ///< [num_labels, D] on the distillation token; logits are averaged with head's

  std::optional<DecoderSource> decoder;

  std::string file;                   ///< that the tensors are in, for messages; empty: none
  std::shared_ptr<const void> files;  ///< keeps the mapped files alive

  /// Of all tensors.
  std::uint64_t size_bytes() const;
  /// One table of biases may serve all blocks: the first one has it.
  bool shares_bias(const BlockSource& block) const;
};

/// Reads a model folder (Hugging Face or timm): configuration, tensors by name, everything checked. Nothing is
/// converted yet. Errors name the file, the key or tensor, what was found and what was expected.
Result<NetworkSource> read_network(const std::filesystem::path& folder);

/// A network of a timm architecture name whose tensors are filled by a fixed pseudo-random generator.
Result<NetworkSource> random_network(std::string_view architecture);

}  // namespace vitrail
