// The seam between what a Vision Transformer is (runtime/) and how a machine does it (platforms/).
//
// A kernel is a plain function: it owns nothing (no memory, threads or state), never fails, and may be called on any
// part of its output from any thread. The table starts complete with platforms/reference; platforms/x86 and
// platforms/arm override what they do better. The reference is the definition: every other kernel gives the same bits,
// because
//   * integer sums are exact, in any order;
//   * a float product sum is one chain of fma in increasing k, one chain per output element;
//   * a float reduction over a row (a "row sum") adds element k to accumulator k mod 64 in increasing k, where missing
//     elements at the end count as +0, then folds the accumulators i += i+32, i += i+16, … i += i+1;
//   * multiply-adds are fused exactly where the contract says fma; division and sqrt are IEEE's; rounding is to the
//     nearest even.
// So any vector width gives one answer.
//
// Words: `ld…` is the distance between rows in elements, `…_bytes` in bytes. Rows of u8 activations start at multiples
// of 64 bytes and may be read up to the next multiple of 64. Sizes are ≥ 1 unless said otherwise. Outputs never overlap
// inputs unless said so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "vitrail/error.hpp"

namespace vitrail {

enum class Activation { none, gelu_erf, gelu_tanh, gelu_quick, tanh };

/// How one row of u8 activations reads as real numbers: x = scale · (q − zero_point).
struct RowQuant {
  float scale;
  std::int32_t zero_point;  ///< 0 … 255
};

/// How s8 weights lie in memory, as the class's product reads them: strips of `columns`, in them groups of k.
struct LayoutS8 {
  int columns = 64;  ///< divides 64
  int group = 4;     ///< consecutive k of one column: 4, 8 or 16. {64, 4} is oneDNN's BA16a64b4a: no second copy exists
  bool operator==(const LayoutS8&) const = default;
  /// The byte of element (n, k).
  std::size_t at(int n, int k, int k_padded) const {
    return static_cast<std::size_t>(n / columns * columns) * static_cast<std::size_t>(k_padded) +
           static_cast<std::size_t>((k / group * columns + n % columns) * group + k % group);
  }
};

/// s8 weights [n, k] in the class's layout, zero-padded both ways. 64 columns are a panel: a whole number of strips.
struct PackedS8 {
  static constexpr int panel = 64;    ///< columns
  static constexpr int k_unit = 64;   ///< k is padded to a multiple of this
  const std::int8_t* data = nullptr;  ///< 64-byte aligned
  int n = 0, k = 0;
  int k_padded() const { return (k + k_unit - 1) / k_unit * k_unit; }
  int panels() const { return (n + panel - 1) / panel; }
  const std::int8_t* at_panel(int p) const { return data + static_cast<std::size_t>(p) * panel * k_padded(); }
};

/// f32 matrix [k, n] as gemm_f32 reads it: column panels of 16, zero-padded: element (panel · k + k') · 16 + n%16.
struct PackedF32 {
  static constexpr int panel = 16;
  const float* data = nullptr;  ///< 64-byte aligned
  int n = 0, k = 0;
  int panels() const { return (n + panel - 1) / panel; }
  const float* at_panel(int p) const { return data + static_cast<std::size_t>(p) * panel * k; }
};

/// What happens to a finished tile of sums: y = activation(y₀ + bias), then dst = y, or residual + y.
struct Epilogue {
  const float* bias = nullptr;  ///< [cols], or null for zeros
  Activation activation = Activation::none;
  const float* residual = nullptr;  ///< [rows, cols] with ld_residual, or null; may be dst itself
  std::size_t ld_residual = 0;
};

/// The factors that turn exact sums of k products into real numbers.
struct Dequant {
  const RowQuant* row;          ///< [rows]
  const float* col_scale;       ///< [cols]
  const std::int32_t* col_sum;  ///< [cols], Σ_k w[n][k]
  int k;
  /// Whether acc, zero_point · col_sum and their difference are exact in f32, too.
  bool fits_f32() const { return k <= (1 << 24) / (255 * 127); }
};

/// The tiles that suit a product.
struct TileShape {
  int row_unit;                             ///< rows it handles at once: tiles of a multiple of it waste nothing
  int max_rows = 48;                        ///< a multiple of row_unit, at most Kernels::max_tile_rows
  std::size_t max_weight_bytes = SIZE_MAX;  ///< a panel may be more. Few, where a tile costs nothing beside its
                                            ///< products: the next tile's come into the cache while the rows stay in it
};

/// One GEMM tile: acc[m][n] = Σ_k a[m][k] · b[n][k], exact in s32.
struct GemmU8S8Tile {
  /// No sum leaves s32, not even on the way where a − 128 is multiplied and 128·Σb added first.
  static constexpr int largest_k = 66047;
  static_assert(2LL * 128 * 127 * largest_k < 1LL << 31);

  const std::uint8_t* a;      ///< [rows, k], readable up to k_padded
  std::size_t lda_bytes;      ///< a multiple of 64
  int rows;                   ///< 1 … Kernels::max_tile_rows
  const std::int8_t* b;       ///< the first of consecutive panels of a PackedS8
  const std::int32_t* b_sum;  ///< [cols rounded up to 64], Σ_k b[n][k]: for products that take a − 128
  int cols;                   ///< 1 … Kernels::max_tile_cols
  int k;                      ///< 1 … largest_k
  int k_padded;               ///< k rounded up to 64, where b is zero
  std::int32_t* acc;  ///< [rows, cols], 64-byte aligned; up to 64-column panels may be written beyond, and up to
                      ///< a multiple of 16 columns is: sums of the padding
  std::size_t ldacc;  ///< a multiple of 16, ≥ cols rounded up to 64
  void* scratch;      ///< Kernels::gemm_scratch_bytes, 64-byte aligned, contents undefined
  /// Weights that will be read soon, or none: a kernel may fetch them into the cache as it goes, and a
  /// little of what lies behind them.
  struct Ahead {
    const std::int8_t* data = nullptr;
    std::size_t bytes = 0;
  } ahead = {};
};

/// A provider of GEMM tiles that prepares something per shape (oneDNN: its primitives). Made with a session, shared by
/// its threads.
class GemmProvider {
 public:
  virtual ~GemmProvider() = default;
  /// Called while a session is made, and by any_size when it meets a new size. False: this shape is not served (`why`
  /// says so), and the native kernels do all the work from then on.
  virtual bool prepare(int rows, int k_padded, int panels, std::string& why) = 0;
  /// Runs a prepared shape on thread `thread`; false if it is not one.
  virtual bool run(const GemmU8S8Tile& tile, int thread) noexcept = 0;
  virtual std::string name() const = 0;
};

/// `lines` times `count` runs of `bytes` bytes, and the distances in bytes (of any sign) between the starts of two
/// lines and of two runs of a line: the rows of pixels of some patches.
struct Runs {
  std::size_t bytes;
  int lines, count;
  std::ptrdiff_t src_line, src_step, dst_line, dst_step;
};

/// Three planes of 16-bit samples.
struct Planes {
  std::int16_t* of[3];
  [[gnu::always_inline]] Planes from(int x) const { return {of[0] + x, of[1] + x, of[2] + x}; }
};

struct AxisFilter;    // runtime/resize_filters.hpp
struct SplitWeights;  // the same

/// Contracts are for finite numbers whose sums and products stay inside f32; of others the classes may make different
/// things. Rounding is to the nearest even, denormals count: as a thread begins, unless an application changed it.
struct Kernels {
  static constexpr int max_tile_rows = 64;
  static constexpr int max_tile_panels = 6;
  static constexpr int max_tile_cols = PackedS8::panel * max_tile_panels;
  static constexpr std::size_t gemm_scratch_bytes = 128 * 1024;
  static constexpr int rows_together = 4;  ///< what a row kernel's scratch must hold

  /// Copies runs of bytes, and writes nothing else: patchify.
  void (*copy_runs)(const std::uint8_t* src, std::uint8_t* dst, const Runs& runs);

  /// Bytes 0, 1 and 2 of `width` pixels of 3 or 4 bytes, one plane each.
  void (*split_pixels)(const std::uint8_t* src, int pixel_bytes, int width, Planes dst);

  /// A resize, horizontally: one row's sums [size, channels] for 1 or 3 channels; exact, with resize_fraction_bits
  /// fraction bits. planes s16 [channels, plane_pitch], samples 0 … 255; element 0 is the source's filter.begin(); up
  /// to filter_block elements behind the last sample are read (with weight 0). One sum more may be written.
  void (*resize_row)(const std::int16_t* planes, std::ptrdiff_t plane_pitch, int channels, const AxisFilter& filter,
                     const SplitWeights& weights, std::int32_t* sums);

  /// A resize, vertically: dst[x] = resized_sample(resize_rounding + Σ weights[k] · rows[k][x]) for x in 0 … row_bytes
  /// − 1.
  void (*blend_rows)(const std::uint8_t* const* rows, const std::int32_t* weights, int count, std::uint8_t* dst,
                     std::size_t row_bytes);

  /// LayerNorm of each row (Ba et al. 2016): mean = rowsum(x)/k; d = x − mean; var = rowsum with fma(d, d, ·) / k;
  /// dst = fma(d · (1/√(var + eps)), gamma, beta). dst may be x.
  void (*layer_norm)(const float* x, std::size_t ldx, int rows, int k, const float* gamma, const float* beta, float eps,
                     float* dst, std::size_t ld_dst);

  /// Row quantisation: lo = min(0, min x), hi = max(0, max x), range = hi − lo. scale = range/255, inv = 255/range,
  /// zero_point = rne(−lo · inv), q = clamp(rne(x · inv) + zero_point, 0, 255). A row narrower than 1e-30 becomes scale
  /// 1, all zeros; one whose range leaves f32 scale ∞, and
  /// one of nothing but NaN (k ≥ 32) scale NaN, all zeros, so that NaN follows.
  void (*quantize_rows)(const float* x, std::size_t ldx, int rows, int k, std::uint8_t* q, std::size_t ldq_bytes,
                        RowQuant* quant);

  /// layer_norm, then quantize_rows, while the rows are hot. `scratch` has room for rows_together · k floats.
  void (*layer_norm_quantize)(const float* x, std::size_t ldx, int rows, int k, const float* gamma, const float* beta,
                              float eps, float* scratch, std::uint8_t* q, std::size_t ldq_bytes, RowQuant* quant);

  /// An activation, then quantize_rows, while a row is hot. erf GELU is numerics::GeluS8. `scratch` has room for two
  /// rows of k floats.
  void (*activate_quantize)(const float* x, std::size_t ldx, int rows, int k, Activation activation, float* scratch,
                            std::uint8_t* q, std::size_t ldq_bytes, RowQuant* quant);

  /// Each row in place: m = max x; p = exp((x − m) · scale); dst = p · (1/rowsum(p)). scale > 0. exp is
  /// numerics::Exp.
  void (*softmax)(float* x, std::size_t ldx, int rows, int cols, float scale);

  /// SwiGLU (Shazeer 2020) of each row x = [a, b] of 2k: dst = (a / (1 + exp(−a))) · b, k long. dst must not be x.
  void (*swiglu)(const float* x, std::size_t ldx, int rows, int k, float* dst, std::size_t ld_dst);

  /// Rotary positions (Su et al. 2021) in place: each row of x is `heads` heads of 2 · half; with j < half and the
  /// row's cos and sin [rows, half], low = fma(−x[half + j], sin[j], x[j] · cos[j]) and high = fma(x[j], sin[j], x[half
  /// + j] · cos[j]).
  void (*rotate)(float* x, std::size_t ldx, int rows, int heads, int half, const float* cos, const float* sin);

  /// The exact integer tile; the native kernel of this platform.
  void (*gemm_u8s8)(const GemmU8S8Tile& tile);
  TileShape gemm_tile;
  /// Panels of weights that a tile has at most.
  int tile_panels(int k_padded) const {
    const std::size_t fit = gemm_tile.max_weight_bytes / (PackedS8::panel * static_cast<std::size_t>(k_padded));
    return fit < 1 ? 1 : fit < max_tile_panels ? static_cast<int>(fit) : max_tile_panels;
  }
  LayoutS8 layout_s8;  ///< what gemm_u8s8 reads; {64, 4} where a GemmProvider may take its place

  /// c[m][n] = Σ_k a[m][k] · b[k][n] (a chain of fma from +0), for `panels` consecutive panels of a PackedF32 [k, n].
  /// All 16 · panels columns of c are written. a is not padded.
  void (*gemm_f32)(const float* a, std::size_t lda, int rows, const float* b, int k, int panels, float* c,
                   std::size_t ldc);

  /// One tile, of max_tile_cols at most: y₀ = fma(float(acc − zero_point · col_sum), row scale · col_scale, bias), then
  /// the rest of the epilogue. acc is readable up to a multiple of 16 columns.
  void (*finish_s32)(const std::int32_t* acc, std::size_t ldacc, int rows, int cols, const Dequant& dequant,
                     const Epilogue& epilogue, float* dst, std::size_t ld_dst);

  /// gemm_u8s8 and finish_s32 of one tile, without a way through memory for its sums (what is in acc is then
  /// undefined). False: this shape or epilogue is not served, and nothing is done. Null where none is. dst is no part
  /// of a.
  bool (*linear_at_once)(const GemmU8S8Tile& tile, const Dequant& dequant, const Epilogue& epilogue, float* dst,
                         std::size_t ld_dst);
  /// The two, at once or one after the other: a linear layer's tile.
  void linear_u8s8(const GemmU8S8Tile& tile, const Dequant& dequant, const Epilogue& epilogue, float* dst,
                   std::size_t ld_dst) const {
    if (linear_at_once && linear_at_once(tile, dequant, epilogue, dst, ld_dst)) return;
    gemm_u8s8(tile);
    finish_s32(tile.acc, tile.ldacc, tile.rows, tile.cols, dequant, epilogue, dst, ld_dst);
  }

  /// finish_s32 of a tile of f32 sums: y₀ = acc + bias.
  void (*finish_f32)(const float* acc, std::size_t ldacc, int rows, int cols, const Epilogue& epilogue, float* dst,
                     std::size_t ld_dst);

  /// src [n, k] → PackedF32 [k, n] (a transposition in blocks), padding zeroed: keys of one head, for Q·Kᵀ.
  void (*pack_transposed_f32)(const float* src, std::size_t ld_src, int n, int k, float* dst);
  /// src [k, n] → PackedF32 [k, n], padding zeroed: values of one head, for P·V.
  void (*pack_f32)(const float* src, std::size_t ld_src, int k, int n, float* dst);

  /// Matrices of output channels become s8: top = max(absmax of the channel, 1e-30), scale = top/127,
  /// q = rne(x · (127/top)), sum = Σ q; the result is PackedS8 in the layout asked for, its padding zeroed, and so is
  /// that of scale and sum (to whole panels).
  ///
  /// src [n, k], a channel is a row: weights, and keys for Q·Kᵀ.
  void (*pack_rows_s8)(const float* src, std::size_t ld_src, int n, int k, LayoutS8 layout, std::int8_t* dst,
                       float* scale, std::int32_t* sum);
  /// src [k, n], a channel is a column: values for P·V.
  void (*pack_columns_s8)(const float* src, std::size_t ld_src, int k, int n, LayoutS8 layout, std::int8_t* dst,
                          float* scale, std::int32_t* sum);

  /// Sums of Q·Kᵀ → u8 attention weights: x[t] = float(acc − zero_point · col_sum[t]) · col_scale[t]; m = max x;
  /// e[t] = 255 · exp((x[t] − m) · f) with f = row scale · scale, by numerics::Exp2S8 as 2^fma(x, F, fma(−m, F, log2
  /// 255)) where F = f · log2e, or largest/|m| if that is less; p = rne(e); quant = {1/rowsum(e), 0}, which may be
  /// dequant.row. scale > 0. Rows of p have cols rounded up to 64 bytes; what lies beyond cols is undefined, and so is
  /// acc afterwards. `scratch` has room for three rows of cols rounded up to 16 floats. acc, col_scale and col_sum are
  /// readable up to there.
  void (*softmax_quantize)(std::int32_t* acc, std::size_t ldacc, int rows, int cols, const Dequant& dequant,
                           float scale, float* scratch, std::uint8_t* p, std::size_t ldp_bytes, RowQuant* quant);

  /// `rounds` of the product's instructions with everything in registers, to know what this core could do at most;
  /// returns the multiply-accumulates done. Null where there is nothing to measure (the reference).
  std::uint64_t (*peak_u8s8)(int rounds);
  std::uint64_t (*peak_f32)(int rounds);

  const char* simd_name;  ///< the class of the float and byte kernels: "reference", "avx2", "avx512" …
  const char* gemm_name;  ///< the class of gemm_u8s8: "reference", "avx2", "avx_vnni" …
};

/// The kernels of this CPU, and what is to be said about the choice.
struct Selection {
  Kernels kernels;
  std::unique_ptr<GemmProvider> provider;  ///< tries each GEMM tile first; null: the native kernel runs them all
  std::string report;                      ///< a few lines: which kernels run, and why something better does not
};

/// Chooses, implemented by platforms/. Reads no environment itself.
/// @param cpu_limit  a class to go no higher than (VITRAIL_CPU), or empty. Unknown names and classes this CPU lacks are
/// errors.
/// @param onednn     oneDNN multiplies where it is exact (VITRAIL_ONEDNN=1). Not by default: where both were measured,
/// an encode takes 5 to 43 % longer with its tiles, and it allocates in each call.
/// @param threads    that will call the provider at the same time; 0: it is not made, but counts in the choice
Result<Selection> select_kernels(std::string_view cpu_limit, bool onednn, int threads);

/// The same with both limits as the environment has them.
Result<Selection> select_kernels(int threads);

/// The native ones alone of the same choice.
Result<Kernels> select_kernels();

}  // namespace vitrail
