// Runs a model. One session per thread: it owns the activations, the worker threads and the scratch memory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vitrail/error.hpp"
#include "vitrail/executor.hpp"
#include "vitrail/image.hpp"
#include "vitrail/model.hpp"

namespace vitrail {

struct SessionOptions {
  int threads = 1;  ///< worker threads including the caller, 1 … 256; the answer does not depend on it
  /// The application's threads instead; `threads` is then ignored. Must outlive the session.
  Executor* executor = nullptr;
  int max_batch = 1;  ///< pictures per run(), 1 … 1024; the answer does not depend on it
  /// Q·Kᵀ and P·V of an int8 model: int8 quantises queries, keys, values and attention weights as they appear. A f32
  /// model always multiplies them in f32.
  DType attention = DType::int8;
  /// Pixels of the pictures the network sees, multiples of the patch size; 0 for both: the network's own size. At
  /// another size positions are resampled as the network's family does it in Python, and the preprocessing aims at that
  /// size.
  int image_height = 0, image_width = 0;
  bool keep_patch_embed = false;    ///< fill Output::patch_embed
  bool keep_hidden_states = false;  ///< fill Output::hidden_states
  bool profile = false;             ///< time every operation, for Session::profile()
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

/// One operation of the last run; a session with one thread spends almost all of encode_ms inside operations.
struct Operation {
  const char* name;     ///< "patchify", "patch_embed", "norm", "qkv", "attention", "quantize", "proj", "fc1", "fc2" …
  const char* kernel;   ///< the class of CPU it was written for, or the provider's name
  double start_ms = 0;  ///< since the encoder began
  double duration_ms = 0;
  std::uint64_t macs = 0;   ///< multiply-accumulates; 0 where nothing is multiplied
  std::uint64_t bytes = 0;  ///< activations and weights read and written, each once
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

  /// The operations of the last run in their order; empty without SessionOptions::profile. Valid until the next run.
  std::span<const Operation> profile() const noexcept;

  /// 10^9 multiply-accumulates a second that this session's threads can do at most in its arithmetic: the sum of each
  /// one's best of many bursts of about a millisecond in registers alone. 0 where the kernels are the reference's.
  /// Takes about 30 ms.
  double peak_gmacs_per_s() noexcept;

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
