// A Vision Transformer as it is published, loaded from its folder: weights quantised and packed once, shared by
// sessions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "vitrail/error.hpp"
#include "vitrail/preprocess.hpp"

namespace vitrail {

class Session;
struct SessionOptions;

/// Arithmetic of the matrix products. Everything between them (LayerNorm, softmax, GELU, residual) is f32 in both.
enum class DType {
  int8,  ///< u8 activations (scale and zero_point per token) × s8 weights (scale per output channel), exact s32 sums
  f32,   ///< the yardstick
};

struct LoadOptions {
  DType dtype = DType::int8;
  int threads = 1;  ///< that quantise and pack, 1 … 256
  /// Called now and then from the loading thread with done ≤ total, in bytes of weights read; may be empty. What it
  /// throws, load() throws; of the exceptions about memory and the system, load() makes its error.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress = {};
};

/// What a model is; all lengths in pixels or elements.
struct ModelInfo {
  std::string family;  ///< Hugging Face's model_type ("vit", "dinov2", "clip_vision_model" …); of timm's networks
                       ///< "vit", "deit", "dinov2", "dinov3", "clip" or "siglip"
  std::string format;  ///< "huggingface" or "timm"
  DType dtype = DType::int8;
  int image_height = 0, image_width = 0, channels = 0;
  int patch_height = 0, patch_width = 0;
  int num_patches = 0;  ///< N
  int num_tokens = 0;   ///< T = N + CLS + distillation token + registers
  int num_registers = 0;
  int embed_dim = 0;  ///< D
  int num_layers = 0, num_heads = 0, mlp_dim = 0;
  int projection_dim = 0;    ///< of Output::image_embeds; 0: none
  int num_labels = 0;        ///< 0: no classification head
  bool has_decoder = false;  ///< Session::reconstruct() can be called
  double mask_ratio = 0;     ///< share of the patches hidden in training, with a decoder
  std::uint64_t parameters = 0;
  std::uint64_t macs = 0;           ///< multiply-accumulates of one picture's matrix products, for Outputs::standard
  std::uint64_t weights_bytes = 0;  ///< of the packed weights in memory
  std::vector<std::string> labels;  ///< num_labels names, or empty when the files have none
  PreprocessConfig preprocess;
};

/// Immutable once loaded and cheap to copy (copies share the weights). Safe to use from many threads. A moved-from one
/// may be assigned to or destroyed, nothing else.
class Model {
 public:
  /// Loads a folder as published: Hugging Face (config.json, preprocessor_config.json, model.safetensors or its sharded
  /// index) or timm (config.json with `architecture` and `pretrained_cfg`, model.safetensors). Reads VITRAIL_CPU and
  /// VITRAIL_ONEDNN, because weights get the order that the product reads: sessions need the same settings.
  static Result<Model> load(const std::filesystem::path& folder, const LoadOptions& options = {});

  /// A network of a timm architecture name (vit_tiny_patch16_224, vit_base_patch16_224, deit_small_patch16_224 …) with
  /// random weights: for benchmarks. The same name gives the same weights everywhere.
  static Result<Model> random(std::string_view architecture, const LoadOptions& options = {});

  const ModelInfo& info() const noexcept;

  /// Makes a session (see session.hpp). Reads VITRAIL_CPU and VITRAIL_ONEDNN; allocates all memory that the network
  /// needs: run() allocates only when a picture of a new size or format comes. The session keeps the model alive.
  /// Large memory has its pages when it is first used: a first run takes longer.
  Result<Session> session(const SessionOptions& options) const;
  Result<Session> session() const;

  struct Impl;
  explicit Model(std::shared_ptr<const Impl> impl) noexcept;
  const Impl& impl() const noexcept { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

}  // namespace vitrail
