// Runs a model. One session per thread: it owns the activations, the worker threads and the scratch memory.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vitrail/error.hpp"
#include "vitrail/image.hpp"
#include "vitrail/model.hpp"

namespace vitrail {

struct SessionOptions {
  int threads = 1;    ///< worker threads including the caller, 1 … 256; the answer does not depend on it
  int max_batch = 1;  ///< pictures per run(), 1 … 1024; the answer does not depend on it
  /// Pixels of the pictures the network sees, multiples of the patch size; 0 for both: the network's own size. At
  /// another size positions are resampled as the network's family does it in Python, and the preprocessing aims at that
  /// size.
  int image_height = 0, image_width = 0;
  bool keep_patch_embed = false;    ///< fill Output::patch_embed
  bool keep_hidden_states = false;  ///< fill Output::hidden_states
};

/// Results of one run, borrowed from the session and valid until its next run. B = pictures of that run; N and T are
/// the session's: another picture size than the network's own has another number of patches.
struct Output {
  std::span<const float> logits;     ///< [B, num_labels]; empty without a classification head
  std::span<const float> tokens;     ///< [B, T, D] after the final LayerNorm (transformers' last_hidden_state)
  std::span<const float> cls;        ///< [B, D] row 0 of tokens; empty when the network has no CLS token
  std::span<const float> registers;  ///< [B, num_registers, D] of tokens; empty without register tokens
  std::span<const float> pooled;     ///< [B, D] pooler output where the network has a pooler, else what the head reads
                                     ///< (two heads: the mean of the two tokens they read)
  std::span<const float> image_embeds;   ///< [B, projection_dim] CLIP's projection of pooled; empty without one
  std::span<const float> patch_embed;    ///< [B, N, D] before positions; only with keep_patch_embed
  std::span<const float> hidden_states;  ///< [L + 1, B, T, D] residual stream before block 0 and after each block; only
                                         ///< with keep_hidden_states
  int num_tokens = 0;                    ///< T
  int grid_rows = 0, grid_columns = 0;   ///< patches: N = grid_rows · grid_columns
};

/// Milliseconds of the last run, by the monotonic clock.
struct Timing {
  double preprocess_ms = 0;
  double encode_ms = 0;
};

/// Moves. Belongs to one thread at a time; many sessions may run one model at once.
class Session {
 public:
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  /// One picture. A picture of exactly the network's size is borrowed as it is; another one is resized and cropped
  /// first as the model's configuration says, which allocates only when its size or format differ from the last one's.
  /// Never throws; the success path does not allocate, lock a global, read the environment or print. (Where oneDNN
  /// multiplies, it allocates inside its own call, on every tile; VITRAIL_ONEDNN=0 leaves it out.)
  Result<Output> run(const ImageView& image) noexcept;

  /// Several pictures, at most max_batch; sizes may differ.
  Result<Output> run(std::span<const ImageView> images) noexcept;

  /// The model's info at this session's picture size: image, patches, tokens, macs and preprocess are the session's.
  const ModelInfo& info() const noexcept;

  const Timing& timing() const noexcept;

  /// Which kernels run, and why a better one does not; several lines of text.
  std::string describe() const;
  /// Bytes of activations and scratch this session holds.
  std::size_t memory_bytes() const noexcept;

 private:
  friend class Model;
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

/// One of the best answers for a picture.
struct Prediction {
  int index = 0;
  float probability = 0;  ///< softmax of the logits
};

/// The k largest logits with their softmax probability, best first; ties go to the lower index.
std::vector<Prediction> top_k(std::span<const float> logits, int k);

}  // namespace vitrail
