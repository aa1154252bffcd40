#include "runtime/engine.hpp"

#include <algorithm>
#include <atomic>
#include <set>

namespace vitrail {
namespace {

std::uint64_t elements(int rows, int columns) {
  return static_cast<std::uint64_t>(rows) * static_cast<std::uint64_t>(columns);
}

}  // namespace

RowBlocks Engine::blocks_of(int rows) const {
  return {rows, kernels_.gemm_tile.max_rows, kernels_.gemm_tile.row_unit, executor_.threads()};
}

/// Columns of a tile: many, because most kernels prepare a tile's rows once for all of its columns, but not so many
/// that the kernel has too many weights, or a thread waits for another one's last tile: at least four tiles per thread.
int Engine::tile_columns(const RowBlocks& blocks, const Linear& linear) const {
  constexpr int tiles_per_thread = 4;
  const int threads = executor_.threads(), panels = ceil_div(linear.out, PackedS8::panel);
  int least = ceil_div(panels, linear.s8.data ? kernels_.tile_panels(linear.s8.k_padded()) : Kernels::max_tile_panels);
  while (least < panels && blocks.count() * least < tiles_per_thread * threads) ++least;
  return ceil_div(panels, least) * PackedS8::panel;
}

/// What a tile may fetch: each of a thread's blocks its part of the weights of the next tiles, those from column n on.
/// All of a thread's blocks multiply with them, and the first one would wait for memory.
GemmU8S8Tile::Ahead Engine::ahead(const Linear& linear, int n, int columns, const RowBlocks::Rows& block) {
  const bool more = n < linear.out;
  const PackedS8& weights = more ? linear.s8 : linear.next;
  if (!weights.data) return {};
  const int first = more ? n / PackedS8::panel : 0;
  const int panels = std::min(columns / PackedS8::panel, weights.panels() - first);
  const std::size_t all = static_cast<std::size_t>(panels) * PackedS8::panel *
                          static_cast<std::size_t>(weights.k_padded()),
                    part = align_up(all / static_cast<std::size_t>(block.turns));
  return {weights.at_panel(first) + static_cast<std::size_t>(block.turn) * part, part};
}

Engine::Engine(Selection selection, Executor* executor, int threads, const Extent& largest, DType attention)
    : kernels_(selection.kernels),
      provider_(std::move(selection.provider)),
      report_(std::move(selection.report)),
      own_threads_(executor ? nullptr : std::make_unique<ThreadPool>(threads)),
      executor_(executor ? *executor : *own_threads_),
      row_tasks_(executor_.threads()),
      max_row_(std::max({largest.embed_dim, largest.mlp_dim, largest.patch_size})),
      embed_dim_(largest.embed_dim),
      class_queries_(attention == DType::int8 ? largest.class_queries : 0),
      heads_{attention, largest.tokens, largest.num_heads, largest.head_dim, 0} {
  scratch_of(nullptr, &scratch_bytes_);
  const auto count = static_cast<std::size_t>(executor_.threads());
  scratch_memory_ = allocate_aligned(std::uint64_t{scratch_bytes_} * count);
  for (std::size_t t = 0; t < count; ++t)
    scratch_.push_back(scratch_of(scratch_memory_.get() + t * scratch_bytes_, nullptr));
}

Engine::Scratch Engine::scratch_of(std::byte* base, std::size_t* bytes) const {
  Layout layout(base);
  Scratch s{};
  s.gemm = layout.take<std::byte>(Kernels::gemm_scratch_bytes);
  s.acc = layout.take<std::int32_t>(static_cast<std::size_t>(kernels_.gemm_tile.max_rows) * Kernels::max_tile_cols);
  s.rows = layout.take<float>(static_cast<std::size_t>(Kernels::rows_together) * static_cast<std::size_t>(max_row_));
  place_attention(layout, s.attention);
  if (bytes) *bytes = layout.size_bytes();
  return s;
}

void Engine::prepare(const Linear& linear, int rows) {
  if (!provider_ || !linear.s8.data) return;
  const RowBlocks blocks = blocks_of(rows);
  const int panels = tile_columns(blocks, linear) / PackedS8::panel;
  const int last_panels = (linear.s8.panels() - 1) % panels + 1;
  std::set<int> heights;
  for (int t = 0; t < executor_.threads(); ++t) {
    for (int i = 0; i < blocks.count(t); ++i) heights.insert(blocks.block(t, i).count);
  }
  for (const int m : heights)
    for (const int p : {std::min(panels, linear.s8.panels()), last_panels}) {
      std::string why;
      if (!provider_->prepare(m, linear.s8.k_padded(), p, why)) {
        report_ += "  " + why + "\n";
        provider_.reset();
        return;
      }
    }
  provider_name_ = provider_->name();
}

std::string Engine::report() const {
  return provider_ ? report_ + "int8 product, first choice: " + provider_->name() + "\n" : report_;
}

double Engine::peak_gmacs_per_s(DType dtype) noexcept {
  using Clock = std::chrono::steady_clock;
  constexpr int bursts = 25;
  constexpr double burst_s = 1e-3;
  const auto burst = dtype == DType::int8 ? kernels_.peak_u8s8 : kernels_.peak_f32;
  if (!burst) return 0;
  const auto seconds = [&](int rounds, std::uint64_t& macs) {
    const auto start = Clock::now();
    macs = burst(rounds);
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  std::atomic<int> ready{0};
  std::atomic<double> sum{0};
  run(executor_, executor_.threads(), [&](int, int) {
    // Every thread holds one task until all have theirs, so that they run together as they will in the network. An
    // application's executor has not promised to run them so.
    for (++ready; own_threads_ && ready < executor_.threads();) spin_pause();
    int rounds = 1000;
    std::uint64_t macs = 0;
    while (seconds(rounds, macs) < burst_s && rounds < 1 << 28) rounds *= 2;
    double best = 0;
    for (int i = 0; i < bursts; ++i) {
      const double time = seconds(rounds, macs);
      best = std::max(best, static_cast<double>(macs) * 1e-9 / time);
    }
    sum.fetch_add(best);
  });
  return sum;
}

void Engine::patchify(const Plan& plan, const Weights& w, const std::uint8_t* pixels, std::ptrdiff_t stride_bytes,
                      Rows& patches) {
  const VitConfig& c = plan.config;
  const Profile::Timed timed(profile_, "patchify", kernels_.simd_name, 0,
                             elements(c.num_patches(), c.patch_size()) * (patches.f ? 5 : 2));
  const std::ptrdiff_t run_bytes = static_cast<std::ptrdiff_t>(c.patch_width) * c.channels;
  const auto patch_bytes = static_cast<std::ptrdiff_t>(patches.ldq_bytes);
  const int columns = c.grid_columns();
  run(executor_, c.grid_rows(), [&](int row, int) {
    kernels_.copy_runs(pixels + static_cast<std::ptrdiff_t>(row) * c.patch_height * stride_bytes,
                       patches.q + static_cast<std::ptrdiff_t>(row) * columns * patch_bytes,
                       {.bytes = static_cast<std::size_t>(run_bytes),
                        .lines = c.patch_height,
                        .count = columns,
                        .src_line = stride_bytes,
                        .src_step = run_bytes,
                        .dst_line = run_bytes,
                        .dst_step = patch_bytes});
    for (int i = row * columns; i < (row + 1) * columns; ++i) {
      if (!patches.f) {
        patches.quant[i] = {1.0f, 0};  // pixels are integers already; mean and std are in the weights
        continue;
      }
      const std::uint8_t* patch = patches.q + i * patch_bytes;
      float* values = patches.f + static_cast<std::ptrdiff_t>(i) * patches.k;
      for (int k = 0; k < patches.k; ++k) values[k] = w.pixel_values[k % c.channels * 256 + patch[k]];
    }
  });
}

RowOperation Engine::quantized(float* x, std::size_t ldx, Rows& rows, Activation activation) {
  if (rows.f) {
    rows.f = x;
    rows.ldf = ldx;
    return {};
  }
  return {.kind = RowOperation::Kind::quantize, .x = x, .ldx = ldx, .rows = rows, .activation = activation};
}

void Engine::apply(const RowOperation& o) {
  if (!o) return;
  const char* const quantization = o.activation == Activation::none ? "quantize" : "activate";
  const Profile::Timed timed(profile_, o.kind == RowOperation::Kind::norm ? "norm" : quantization, kernels_.simd_name,
                             0, elements(o.rows.count, o.rows.k) * (o.rows.f ? 8 : 5));
  each_rows(o.rows.count, [&](int first, int count, int thread) { apply(o, first, count, thread); });
}

void Engine::apply(const RowOperation& o, int first, int count, int thread) {
  const auto at = static_cast<std::size_t>(first);
  const float* x = o.x + at * o.ldx;
  const Rows& rows = o.rows;
  float* scratch = scratch_[static_cast<std::size_t>(thread)].rows;
  if (rows.f)
    kernels_.layer_norm(x, o.ldx, count, rows.k, o.norm.gamma, o.norm.beta, o.eps, rows.f + at * rows.ldf, rows.ldf);
  else if (o.kind == RowOperation::Kind::norm)
    kernels_.layer_norm_quantize(x, o.ldx, count, rows.k, o.norm.gamma, o.norm.beta, o.eps, scratch,
                                 rows.q + at * rows.ldq_bytes, rows.ldq_bytes, rows.quant + at);
  else
    kernels_.activate_quantize(x, o.ldx, count, rows.k, o.activation, scratch, rows.q + at * rows.ldq_bytes,
                               rows.ldq_bytes, rows.quant + at);
}

void Engine::swiglu(const float* x, int count, int k, float* dst) {
  const Profile::Timed timed(profile_, "swiglu", kernels_.simd_name, 0, elements(count, k) * 12);
  const auto K = static_cast<std::size_t>(k);
  each_rows(count, [&](int first, int rows, int) {
    const auto at = static_cast<std::size_t>(first) * K;
    kernels_.swiglu(x + 2 * at, 2 * K, rows, k, dst + at, K);
  });
}

void Engine::rotate(const Plan& plan, float* x, std::size_t ldx, int heads) {
  const VitConfig& c = plan.config;
  const int half = c.head_dim() / 2, count = c.num_patches();
  const Profile::Timed timed(profile_, "rotate", kernels_.simd_name, 0, elements(count, heads * c.head_dim()) * 8);
  float* patches = x + static_cast<std::size_t>(c.prefix_tokens()) * ldx;
  each_rows(count, [&](int first, int rows, int) {
    const auto row = static_cast<std::size_t>(first), angle = row * static_cast<std::size_t>(half);
    kernels_.rotate(patches + row * ldx, ldx, rows, heads, half, plan.cos + angle, plan.sin + angle);
  });
}

void Engine::linear(const char* name, const Rows& rows, const Linear& linear, Activation activation,
                    const float* residual, std::size_t ld_residual, float* dst, std::size_t ld_dst,
                    const RowOperation& after) {
  if (profile_.on() && after) {
    this->linear(name, rows, linear, activation, residual, ld_residual, dst, ld_dst);
    return apply(after);
  }
  const RowBlocks blocks = blocks_of(rows.count);
  const int columns = tile_columns(blocks, linear);
  const std::uint64_t in = static_cast<std::uint64_t>(rows.k), out_count = static_cast<std::uint64_t>(linear.out),
                      count = static_cast<std::uint64_t>(rows.count), element = linear.s8.data ? 1 : sizeof(float);
  const Profile::Timed timed(profile_, name, linear.s8.data ? gemm_name() : kernels_.simd_name, count * in * out_count,
                             (count + out_count) * in * element + count * out_count * sizeof(float));
  // Tasks that follow each other share their columns: a panel of weights is read once while it is in the cache.
  const auto task = [&](const RowBlocks::Rows& block, int tile_index, int thread) {
    const Scratch& s = scratch_[static_cast<std::size_t>(thread)];
    const int m = block.count, n0 = tile_index * columns, n = std::min(columns, linear.out - n0);
    const auto row = static_cast<std::size_t>(block.first);
    const Epilogue epilogue{linear.bias ? linear.bias + n0 : nullptr, activation,
                            residual ? residual + row * ld_residual + n0 : nullptr, ld_residual};
    float* out = dst + row * ld_dst + n0;
    if (linear.s8.data) {
      const GemmU8S8Tile tile{.a = rows.q + row * rows.ldq_bytes,
                              .lda_bytes = rows.ldq_bytes,
                              .rows = m,
                              .b = linear.s8.at_panel(n0 / PackedS8::panel),
                              .b_sum = linear.col_sum + n0,
                              .cols = n,
                              .k = rows.k,
                              .k_padded = linear.s8.k_padded(),
                              .acc = s.acc,
                              .ldacc = align_up(static_cast<std::size_t>(n), PackedS8::panel),
                              .scratch = s.gemm,
                              .ahead = ahead(linear, n0 + columns, columns, block)};
      const Dequant dequant{rows.quant + row, linear.col_scale + n0, linear.col_sum + n0, rows.k};
      if (provider_ && provider_->run(tile, thread))
        kernels_.finish_s32(s.acc, tile.ldacc, m, n, dequant, epilogue, out, ld_dst);
      else
        kernels_.linear_u8s8(tile, dequant, epilogue, out, ld_dst);
    } else {
      auto* acc = reinterpret_cast<float*>(s.acc);
      kernels_.gemm_f32(rows.f + row * rows.ldf, rows.ldf, m, linear.f32.at_panel(n0 / PackedF32::panel), rows.k,
                        ceil_div(n, PackedF32::panel), acc, static_cast<std::size_t>(columns));
      kernels_.finish_f32(acc, static_cast<std::size_t>(columns), m, n, epilogue, out, ld_dst);
    }
  };
  run_tasks(blocks, ceil_div(linear.out, columns), task, after);
}

}  // namespace vitrail
