// The layers of a network as operations on rows of tokens: which kernel, which tiles, which thread. vit.cpp reads like
// the paper because everything about the machine is here.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "runtime/kernels.hpp"
#include "runtime/plan.hpp"
#include "runtime/profile.hpp"
#include "runtime/row_tasks.hpp"
#include "runtime/storage.hpp"
#include "runtime/thread_pool.hpp"
#include "runtime/weights.hpp"

namespace vitrail {

/// Activations as a product reads them: u8 rows with their scales (int8), or f32 rows. One of q and f is set.
struct Rows {
  int count = 0;
  int k = 0;                  ///< elements per row
  std::uint8_t* q = nullptr;  ///< [count, ldq_bytes]
  std::size_t ldq_bytes = 0;  ///< k rounded up to 64
  RowQuant* quant = nullptr;  ///< [count]
  float* f = nullptr;         ///< [count, k], rows `ldf` apart
  std::size_t ldf = 0;
};

/// LayerNorm or quantisation of rows, to be done alone or as a part of the operation that gives them: row i when that
/// one's row i is there. `kind` none: nothing is to be done.
struct RowOperation {
  enum class Kind { none, norm, quantize } kind = Kind::none;
  const float* x = nullptr;  ///< [rows.count, rows.k], rows `ldx` apart
  std::size_t ldx = 0;
  Rows rows = {};  ///< the result
  Norm norm = {};
  float eps = 0;
  Activation activation = Activation::none;  ///< before quantisation
  explicit operator bool() const { return kind != Kind::none; }
};

/// The attention of one picture: which arithmetic, and its shape.
struct Heads {
  DType dtype = DType::int8;
  int tokens = 0;    ///< T
  int count = 0;     ///< num_heads
  int head_dim = 0;  ///< elements
  float scale = 0;   ///< of the scores: 1/√head_dim, unless queries were multiplied with a matrix
};

/// What a thread needs for a block of queries of one head; which parts exist depends on the arithmetic.
struct AttentionScratch {
  float* scores = nullptr;      ///< f32: [query_block, T rounded up to 16]; int8: softmax_quantize's scratch
  std::int32_t* acc = nullptr;  ///< int8: [query_block, T or head_dim rounded up to 64], one head of class queries too
  std::uint8_t* q = nullptr;    ///< int8: queries [query_block, head_dim rounded up to 64], the same
  std::uint8_t* p = nullptr;    ///< int8: weights of the values [query_block, T rounded up to 64]
  RowQuant* quant = nullptr;    ///< int8: [query_block], of q and then of p
  float* context = nullptr;     ///< f32: [query_block, head_dim rounded up to 16]
};

class Engine {
 public:
  /// @param executor   whose threads work; null: `threads` of the engine's own
  /// @param largest    of everything that will run
  /// @param attention  of the products Q·Kᵀ and P·V
  Engine(Selection selection, Executor* executor, int threads, const Extent& largest, DType attention);
  /// The shape of attention() from now on.
  void shape_attention(int tokens, int heads, int head_dim) {
    shape_attention(tokens, heads, head_dim, 1.0f / std::sqrt(static_cast<float>(head_dim)));
  }
  void shape_attention(int tokens, int heads, int head_dim, float scale) {
    heads_ = {heads_.dtype, tokens, heads, head_dim, scale};
  }

  const Kernels& kernels() const { return kernels_; }
  /// Times operations from now on; room for `operations` of them per run.
  void keep_profile(std::size_t operations) { profile_ = Profile(operations); }
  Profile& profile() { return profile_; }
  const Profile& profile() const { return profile_; }
  /// See Session::peak_gmacs_per_s().
  double peak_gmacs_per_s(DType dtype) noexcept;

  /// Selection::report, with what prepare() found.
  std::string report() const;
  int threads() const { return executor_.threads(); }
  DType attention_dtype() const { return heads_.dtype; }
  std::size_t scratch_bytes() const { return scratch_bytes_ * static_cast<std::size_t>(executor_.threads()); }

  /// Prepares the GEMM provider for products of `rows` rows with `linear`, before a run that has such.
  void prepare(const Linear& linear, int rows);

  /// Pixels → patches: one picture u8 [image_height, image_width, channels] to rows.count patches of rows.q (and rows.f
  /// in f32).
  void patchify(const Plan& plan, const Weights& w, const std::uint8_t* pixels, std::ptrdiff_t stride_bytes,
                Rows& patches);

  /// LayerNorm of x [rows.count, rows.k] into rows.
  static RowOperation normalized(const float* x, const Norm& norm, float eps, const Rows& rows) {
    return {.kind = RowOperation::Kind::norm,
            .x = x,
            .ldx = static_cast<std::size_t>(rows.k),
            .rows = rows,
            .norm = norm,
            .eps = eps};
  }
  /// x [rows.count, rows.k], rows `ldx` apart, as rows: quantised in int8; in f32 they are just borrowed, at once.
  /// @param activation  of x in int8; in f32 it has been in the product that gave x (activation_at_once)
  static RowOperation quantized(float* x, std::size_t ldx, Rows& rows, Activation activation = Activation::none);
  /// Does it alone.
  void apply(const RowOperation& operation);
  void norm(const float* x, const Norm& norm, float eps, Rows& rows) { apply(normalized(x, norm, eps, rows)); }
  void quantize(float* x, std::size_t ldx, Rows& rows, Activation activation = Activation::none) {
    apply(quantized(x, ldx, rows, activation));
  }
  /// LayerNorm of x [count, dim] into dst (f32 in every dtype; dst may be x).
  void norm(const float* x, const Norm& norm, float eps, int count, int dim, float* dst) {
    apply(normalized(x, norm, eps, {.count = count, .k = dim, .f = dst, .ldf = static_cast<std::size_t>(dim)}));
  }
  /// What a product that gives `rows` does itself. In int8 it multiplies with the same pipes as the activation, which
  /// quantize() does while it waits for memory.
  static Activation activation_at_once(Activation activation, const Rows& rows) {
    return rows.f ? activation : Activation::none;
  }

  /// dst [rows.count, linear.out] = epilogue(rows · Wᵀ + b), rows of dst `ld_dst` apart.
  /// @param name   what a profile calls it
  /// @param after  what becomes of its rows; may take the place of `rows`. With a profile it is done apart
  void linear(const char* name, const Rows& rows, const Linear& linear, Activation activation, const float* residual,
              std::size_t ld_residual, float* dst, std::size_t ld_dst, const RowOperation& after = {});

  /// SwiGLU: x [count, 2k] → dst [count, k].
  void swiglu(const float* x, int count, int k, float* dst);
  /// Rotary positions, in place, on the patches of `heads` heads that lie side by side: x [T, heads · head_dim] of one
  /// picture, rows `ldx` apart.
  void rotate(const Plan& plan, float* x, std::size_t ldx, int heads);

  /// Multi-head attention of one picture (Vaswani et al. 2017): queries [count, heads · head_dim] on as wide keys and
  /// values of T tokens, rows `ld_…` apart. The result takes the place of the queries. `packed_heads` holds
  /// packed_heads_bytes(): the keys and values, packed.
  /// @param bias  what is added to the scores before softmax (f32 attention only), or null
  /// @param maps  room for the weights of the values, or null: `count` rows [T] a head, heads T · T apart
  /// @param after  what becomes of the result's rows
  void attention(float* queries, std::size_t ld_queries, int count, const float* keys, const float* values,
                 std::size_t ld_keys, std::byte* packed_heads, const RelativeBias* bias = nullptr,
                 float* maps = nullptr, const RowOperation& after = {});
  std::uint64_t packed_heads_bytes() const;

 private:
  /// Per thread; laid out once.
  struct Scratch {
    void* gemm;         ///< Kernels::gemm_scratch_bytes
    std::int32_t* acc;  ///< one GEMM tile; read as float by the f32 product
    float* rows;        ///< Kernels::rows_together rows of the widest layer
    AttentionScratch attention;
  };
  const char* gemm_name() const { return provider_ ? provider_name_.c_str() : kernels_.gemm_name; }
  RowBlocks blocks_of(int rows) const;
  int tile_columns(const RowBlocks& blocks, const Linear& linear) const;
  static GemmU8S8Tile::Ahead ahead(const Linear& linear, int n, int columns, const RowBlocks::Rows& block);
  /// Row operations take so many rows at a time: some kilobytes, a few microseconds.
  static constexpr int rows_per_task = 8;
  int row_tasks_per_block() const { return ceil_div(kernels_.gemm_tile.max_rows, rows_per_task); }
  /// Calls task(first row, count, thread) for the index-th of these rows of a block.
  template <class Function>
  static void some_rows(const RowBlocks::Rows& block, int index, int thread, const Function& task) {
    const int first = index * rows_per_task, count = std::min(rows_per_task, block.count - first);
    if (count > 0) task(block.first + first, count, thread);
  }
  template <class Function>
  void each_rows(int rows, const Function& task) {
    row_tasks_.run(executor_, blocks_of(rows), row_tasks_per_block(),
                   [&](const RowBlocks::Rows& block, int index, int thread) { some_rows(block, index, thread, task); });
  }
  void apply(const RowOperation& operation, int first, int count, int thread);
  /// A job of tasks, and then an operation on what they gave.
  template <class Function>
  void run_tasks(const RowBlocks& blocks, int per_block, const Function& task, const RowOperation& after) {
    row_tasks_.run(executor_, blocks, per_block, task, after ? row_tasks_per_block() : 0,
                   [&](const RowBlocks::Rows& block, int index, int thread) {
                     some_rows(block, index, thread,
                               [&](int first, int count, int t) { apply(after, first, count, t); });
                   });
  }
  /// Calls pack(head, whether its keys or its values): always the same thread, into memory that it then has at hand.
  template <class Function>
  void each_matrix(const Function& pack);
  Scratch scratch_of(std::byte* base, std::size_t* bytes) const;
  void place_attention(Layout& layout, AttentionScratch& s) const;
  /// What both arithmetics are given.
  struct Attended {
    float* queries;  ///< and the result
    const float *keys, *values;
    std::size_t ld_queries, ld_keys;
    int count;  ///< queries
    std::byte* packed_heads;
    const RelativeBias* bias;
    float* maps;
    const RowOperation& after;
    /// Row `query` of a head's map.
    float* map_row(int head, int query, int tokens) const {
      return maps +
             (static_cast<std::size_t>(head) * static_cast<std::size_t>(tokens) + static_cast<std::size_t>(query)) *
                 static_cast<std::size_t>(tokens);
    }
  };
  Heads class_heads() const { return {heads_.dtype, heads_.tokens, 1, embed_dim_, heads_.scale}; }
  void attend_f32(const Attended& a);
  void attend_int8(const Attended& a);

  Kernels kernels_;
  std::unique_ptr<GemmProvider> provider_;
  std::string report_, provider_name_;
  Profile profile_;
  std::unique_ptr<ThreadPool> own_threads_;  ///< unless the application has its own
  Executor& executor_;
  RowTasks row_tasks_;
  int max_row_ = 0, embed_dim_ = 0, class_queries_ = 0;
  Heads heads_;
  std::size_t scratch_bytes_ = 0;
  AlignedBytes scratch_memory_;
  std::vector<Scratch> scratch_;
};

}  // namespace vitrail
