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

/// What run() can give; they combine with |. Nothing is computed that nothing asked for needs: where only rows at the
/// front of the tokens are wanted (CLS, and what is pooled from it), the last block runs for these rows alone.
enum class Outputs : std::uint32_t {
  none = 0,
  logits = 1 << 0,
  cls = 1 << 1,
  pooled = 1 << 2,
  image_embeds = 1 << 3,
  tokens = 1 << 4,
  registers = 1 << 5,
  patch_embed = 1 << 6,
  hidden_states = 1 << 7,
  intermediate_layers = 1 << 8,
  attentions = 1 << 9,
  standard = logits | cls | pooled | image_embeds | tokens | registers,
};
constexpr Outputs operator|(Outputs a, Outputs b) {
  return static_cast<Outputs>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}
/// Whether `set` has any of `some`.
constexpr bool has(Outputs set, Outputs some) {
  return (static_cast<std::uint32_t>(set) & static_cast<std::uint32_t>(some)) != 0;
}

struct SessionOptions {
  int threads = 1;  ///< worker threads including the caller, 1 … 256; the answer does not depend on it
  /// The application's threads instead; `threads` is then ignored. Must outlive the session.
  Executor* executor = nullptr;
  int max_batch = 1;  ///< pictures per run(), 1 … 1024; the answer does not depend on it
  /// Q·Kᵀ and P·V of an int8 model: int8 quantises queries, keys, values and attention weights as they appear. A f32
  /// model always multiplies them in f32.
  DType attention = DType::int8;
  /// Pixels of the pictures the network sees, multiples of the patch size up to 8192, of at most 65536 tokens; 0 for
  /// both: the network's own size. At another size positions are resampled as the network's family does it in Python,
  /// and the preprocessing aims at that size.
  int image_height = 0, image_width = 0;
  /// The size above is the largest one: pictures are taken as they are, at any multiples of the patch size up to it,
  /// all of one run equally large. Positions are resampled when a size is first seen (run() allocates then) and kept
  /// for the last 16 sizes below it.
  bool any_size = false;
  /// Pictures of exactly the network's size are resized and cropped, too, as Python's processors do it: many timm
  /// networks want a picture of 224 × 224 enlarged to 248 × 248 and its middle. Otherwise they are taken as they are.
  bool always_preprocess = false;
  Outputs outputs = Outputs::standard;  ///< there is memory for these; what the network does not have stays empty
  /// Blocks of Output::intermediate_layers, 0 … L − 1, each once; asks for that output. Outputs::intermediate_layers
  /// needs some.
  std::vector<int> layers = {};
  bool norm_layers = true;  ///< the final LayerNorm on them, as DINOv2 has it
  /// Blocks of Output::attentions, 0 … L − 1, each once; asks for that output. Empty: all, with Outputs::attentions.
  std::vector<int> attention_layers = {};
  bool reconstruct = false;  ///< memory for Session::reconstruct()
  bool profile = false;      ///< time every operation, each by itself, for Session::profile()
};

/// Results of one run, borrowed from the session and valid until its next run; what was not asked for is empty. B =
/// pictures of that run; N and T are those of its picture size: another one than the network's own has another number
/// of patches. In brackets: transformers' name, DINOv2's name.
struct Output {
  std::span<const float> logits;     ///< [B, num_labels]; empty without a classification head
  std::span<const float> tokens;     ///< [B, T, D] after the final LayerNorm (last_hidden_state)
  std::span<const float> cls;        ///< [B, D] row 0 of tokens; empty without a CLS token (x_norm_clstoken)
  std::span<const float> registers;  ///< [B, num_registers, D] of tokens; empty without them (x_norm_regtokens)
  std::span<const float> pooled;  ///< [B, D] (pooler_output) where the network has a pooler, else what the head reads
                                  ///< (two heads: the mean of the two tokens they read)
  std::span<const float> image_embeds;         ///< [B, projection_dim] CLIP's projection of pooled; empty without one
  std::span<const float> patch_embed;          ///< [B, N, D] before positions
  std::span<const float> hidden_states;        ///< [L + 1, B, T, D] residual stream before block 0 and after each block
  std::span<const float> intermediate_layers;  ///< [layers, B, T, D] after these blocks (get_intermediate_layers)
  std::span<const float> attentions;  ///< [attention_layers, B, heads, T, T] softmax(Q·Kᵀ/√d); int8: the quantised
                                      ///< weights the values were multiplied by
  int embed_dim = 0;                  ///< D
  int num_tokens = 0;                 ///< T
  int num_prefix = 0;                 ///< tokens before the patches: CLS, distillation token, registers
  int grid_rows = 0, grid_columns = 0;  ///< patches: N = grid_rows · grid_columns

  /// The patch tokens of picture b, [grid_rows, grid_columns, D] (x_norm_patchtokens), of tokens [B, T, D] or any other
  /// array of that shape; empty where there is no such picture.
  std::span<const float> patch_tokens(int b = 0) const noexcept { return patch_tokens(tokens, b); }
  std::span<const float> patch_tokens(std::span<const float> all, int b = 0) const noexcept;
};

/// Pixels predicted for one picture from a part of its patches (ViT-MAE), borrowed like Output.
struct Reconstruction {
  std::span<const float> logits;  ///< [N, P·P·C] as the network gives them, elements in row, column, channel
  std::span<const std::uint8_t> predicted;  ///< [H, W, C] every patch as predicted
  std::span<const std::uint8_t> whole;      ///< [H, W, C] what was seen, and predictions where it was hidden
  int height = 0, width = 0, channels = 0;
  int num_visible = 0;
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
  std::uint64_t macs = 0;  ///< multiply-accumulates; 0 where nothing is multiplied. All of a run's may be a little more
                           ///< than ModelInfo::macs: int8's class tokens attend once more in the last block
  std::uint64_t bytes = 0;  ///< activations and weights read and written, each once
};

/// Moves, and what a run gave stays where it is; a moved-from session may be assigned to or destroyed, nothing else.
/// Belongs to one thread at a time; many sessions may run one model at once. Answers are those of the default rounding
/// mode (fesetround).
class Session {
 public:
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  /// One picture, which need not outlive the call. Of exactly the network's size it is taken as it is (unless
  /// SessionOptions::always_preprocess is set): borrowed where it is rgb8 or gray8 as the network's, else its channels
  /// are put in order in memory of the session's. Another one is resized and cropped first as the model's configuration
  /// says. That allocates only when size, format or kind (whole, or row by row) differ from the last one's. Never
  /// throws; the success path does not allocate, lock a global, read the environment or print. (With VITRAIL_ONEDNN=1,
  /// oneDNN allocates inside its own call, on every tile.)
  Result<Output> run(const ImageView& image) noexcept;

  /// The same of a picture that comes row by row: rows go into the resize as they arrive, and only those under its
  /// filter are kept. All rows are read, once. Allocates as the source does; rows come on the calling thread.
  Result<Output> run(RowSource& picture) noexcept;

  /// Several pictures, at most max_batch; sizes may differ unless SessionOptions::any_size.
  Result<Output> run(std::span<const ImageView> images) noexcept;
  /// The same for a part of SessionOptions::outputs.
  Result<Output> run(std::span<const ImageView> images, Outputs outputs) noexcept;

  /// ViT-MAE: predicts the patches of one picture that `mask` [N] hides (1) from those it shows (0). A network trained
  /// on normalised pixels (norm_pix_loss) predicts each patch up to its mean and deviation; these are the picture's
  /// own. Needs SessionOptions::reconstruct; otherwise as run(), whose last Output ends with it.
  Result<Reconstruction> reconstruct(const ImageView& image, std::span<const std::uint8_t> mask) noexcept;

  /// The model's info for this session: image, patches, tokens and preprocess are those of its picture size, macs those
  /// of its outputs (without reconstruct()).
  const ModelInfo& info() const noexcept;

  const Timing& timing() const noexcept;

  /// The operations of the last run in their order; empty without SessionOptions::profile. Valid until the next run.
  std::span<const Operation> profile() const noexcept;

  /// 10^9 multiply-accumulates a second that this session's threads can do at most in its arithmetic: the sum of each
  /// one's best of many bursts of about a millisecond in registers alone, so that it counts cores where each thread has
  /// one. 0 where the kernels are the reference's.
  /// Takes 25 to 50 ms on cores that are free.
  double peak_gmacs_per_s() noexcept;

  /// Which kernels run, and why a better one does not; several lines of text.
  std::string describe() const;
  /// Bytes of activations, scratch, prepared pictures and resampled positions this session holds.
  std::size_t memory_bytes() const noexcept;

 private:
  friend class Model;
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

/// Which patches a masked autoencoder sees.
struct Masking {
  std::vector<std::uint8_t> mask;  ///< [N] 1: hidden
  std::vector<int> ids_restore;    ///< [N] the rank of each patch's noise
};

/// As transformers' ViTMAE masks: the ⌊N · (1 − mask_ratio)⌋ patches of least noise stay visible (equal noise: the
/// first ones).
Result<Masking> random_masking(std::span<const float> noise, double mask_ratio);

/// One of the best answers for a picture.
struct Prediction {
  int index = 0;
  float probability = 0;  ///< softmax of the logits
};

/// The k largest logits with their softmax probability, best first; ties go to the lower index. NaN counts as −∞; ∞
/// takes all, in equal shares.
std::vector<Prediction> top_k(std::span<const float> logits, int k);

}  // namespace vitrail
