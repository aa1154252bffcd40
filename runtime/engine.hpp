// The layers of a network as operations on rows of tokens: which kernel, which tiles, which thread. vit.cpp reads like
// the paper because everything about the machine is here.
#pragma once

#include <memory>
#include <string>

#include "runtime/kernels.hpp"
#include "runtime/plan.hpp"
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
  float* f = nullptr;         ///< [count, k]
};

/// A linear layer's rows are cut into blocks of this many, all but the last equal.
int tile_rows(int rows, int row_unit);

class Engine {
 public:
  /// @param max_tokens  T, the rows of one attention problem
  Engine(Selection selection, int threads, const VitConfig& config);

  const Kernels& kernels() const { return kernels_; }
  const std::string& report() const { return report_; }
  std::size_t scratch_bytes() const { return scratch_bytes_ * static_cast<std::size_t>(pool_.size()); }

  /// Prepares the GEMM provider for products of `rows` rows with `linear`; once, before run time.
  void prepare(const Linear& linear, int rows);

  /// Pixels → patches: one picture u8 [image_height, image_width, channels] to rows.count patches of rows.q (and rows.f
  /// in f32).
  void patchify(const Plan& plan, const Weights& w, const std::uint8_t* pixels, std::ptrdiff_t stride_bytes,
                Rows& patches);

  /// LayerNorm of x [rows.count, rows.k] into rows.
  void norm(const float* x, const Norm& norm, float eps, Rows& rows);
  /// LayerNorm of x [count, dim] into dst (f32 in every dtype; dst may be x).
  void norm(const float* x, const Norm& norm, float eps, int count, int dim, float* dst);
  /// x [rows.count, rows.k] as rows: quantised in int8; in f32 just borrowed.
  void quantize(float* x, Rows& rows);

  /// dst [rows.count, linear.out] = epilogue(rows · Wᵀ + b), rows of dst `ld_dst` apart.
  void linear(const Rows& rows, const Linear& linear, Activation activation, const float* residual,
              std::size_t ld_residual, float* dst, std::size_t ld_dst);

  /// SwiGLU: x [count, 2k] → dst [count, k].
  void swiglu(const float* x, int count, int k, float* dst);
  /// Rotary positions, in place, on the queries and keys of the patches in qkv [T, 3D] of one picture.
  void rotate(const Plan& plan, float* qkv);

  /// Multi-head self-attention of one picture (Vaswani et al. 2017): qkv [T, 3D] → out [T, D].
  /// keys and values hold attention_floats() each.
  void attention(const VitConfig& c, const float* qkv, float* keys, float* values, float* out);
  /// The same for one query [D] on key_value [T, 2D] → out [D].
  void attend(const VitConfig& c, const float* query, const float* key_value, float* keys, float* values, float* out);
  static std::size_t attention_floats(const VitConfig& c);

 private:
  /// Per thread; laid out once.
  struct Scratch {
    void* gemm;         ///< Kernels::gemm_scratch_bytes
    std::int32_t* acc;  ///< one GEMM tile; read as float by the f32 product
    float* row;         ///< one row of the widest layer
    float* scores;      ///< [query_block, T rounded up to 16]
    float* context;     ///< [query_block, head_dim rounded up to 16]
  };
  Scratch scratch_of(std::byte* base, std::size_t* bytes) const;

  Kernels kernels_;
  std::unique_ptr<GemmProvider> provider_;
  std::string report_;
  ThreadPool pool_;
  int max_row_ = 0, tokens_ = 0, head_dim_ = 0;
  std::size_t scratch_bytes_ = 0;
  AlignedBytes scratch_memory_;
  std::vector<Scratch> scratch_;
};

}  // namespace vitrail
