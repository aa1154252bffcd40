#include "vitrail/convolution.hpp"

#include <cmath>
#include <string>
#include <system_error>
#include <vector>

#include "runtime/argument_error.hpp"
#include "runtime/engine.hpp"
#include "runtime/windows.hpp"

namespace vitrail {
namespace {

constexpr int tile_columns = Kernels::max_tile_cols;

/// torch's [out, channels, kernel_height, kernel_width] → [out, kernel_height, kernel_width, channels], the order in
/// which windows are gathered.
std::vector<float> channels_last(const WindowOptions& o, int out_channels, std::span<const float> weights) {
  std::vector<float> result(weights.size());
  const auto channels = static_cast<std::size_t>(o.channels);
  const std::size_t area = static_cast<std::size_t>(o.kernel_height) * static_cast<std::size_t>(o.kernel_width);
  for (std::size_t n = 0; n < static_cast<std::size_t>(out_channels); ++n)
    for (std::size_t c = 0; c < channels; ++c)
      for (std::size_t k = 0; k < area; ++k)
        result[(n * area + k) * channels + c] = weights[(n * channels + c) * area + k];
  return result;
}

Status check_finite(const char* name, std::span<const float> values) {
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      return argument_error(std::string(name) + "[" + std::to_string(i) + "]", std::to_string(values[i]),
                            "a finite number");
  return {};
}

Status check_count(const char* name, std::uint64_t found, std::uint64_t expected, const char* shape) {
  if (found == expected) return {};
  return argument_error(name, std::to_string(found) + " elements", std::to_string(expected) + ", " + shape);
}

}  // namespace

struct Convolution::Impl {
  Impl(const WindowGrid& windows, int out, std::span<const float> torch_weights, std::span<const float> torch_bias,
       const Kernels& table, const ConvolutionOptions& o);

  struct Scratch {
    void* gemm;
    std::int32_t* acc;  ///< [block, tile_columns]; read as float by the f32 product
    std::uint8_t* q;    ///< [block, ldq], or a row of bytes before it becomes floats
    RowQuant* quant;    ///< [block]
    float* rows;        ///< f32: [block, K]; int8: one row before it is quantised
  };
  Scratch scratch_of(std::byte* base, std::size_t* bytes) const;
  template <class Gather>
  void run(const Gather& gather, float* dst) noexcept;
  void multiply(const Scratch& s, int m0, int m, float* dst) noexcept;

  WindowGrid grid;
  int out_channels;
  DType dtype;
  Kernels kernels;
  std::unique_ptr<ThreadPool> own_threads;
  Executor& executor;
  int block;        ///< windows per tile
  std::size_t k;    ///< window_size()
  std::size_t ldq;  ///< bytes
  PackedS8 s8;
  PackedF32 f32;
  const float* bias = nullptr;
  const float* col_scale = nullptr;
  const std::int32_t* col_sum = nullptr;
  Storage storage;
  std::size_t scratch_bytes = 0;
  AlignedBytes scratch_memory;
  std::vector<Scratch> scratch;
};

Convolution::Impl::Impl(const WindowGrid& windows, int out, std::span<const float> torch_weights,
                        std::span<const float> torch_bias, const Kernels& table, const ConvolutionOptions& o)
    : grid(windows),
      out_channels(out),
      dtype(o.dtype),
      kernels(table),
      own_threads(o.executor ? nullptr : std::make_unique<ThreadPool>(o.threads)),
      executor(o.executor ? *o.executor : *own_threads),
      block(RowBlocks(grid.count(), kernels.gemm_tile.max_rows, kernels.gemm_tile.row_unit, 1).block(0, 0).count),
      k(grid.window_size()),
      ldq(align_up(k)) {
  const std::vector<float> weights = channels_last(grid.options(), out, torch_weights);
  const int columns = static_cast<int>(k);
  if (dtype == DType::int8) {
    s8 = {.data = nullptr, .n = out, .k = columns};
    const auto padded = static_cast<std::size_t>(s8.panels()) * PackedS8::panel;
    auto* data = storage.make<std::int8_t>(padded * static_cast<std::size_t>(s8.k_padded()));
    auto* scale = storage.make<float>(padded);
    auto* sum = storage.make<std::int32_t>(padded);
    kernels.pack_rows_s8(weights.data(), k, out, columns, kernels.layout_s8, data, scale, sum);
    s8.data = data;
    col_scale = scale;
    col_sum = sum;
  } else {
    f32 = {.data = nullptr, .n = out, .k = columns};
    auto* data = storage.make<float>(static_cast<std::size_t>(f32.panels()) * PackedF32::panel * k);
    kernels.pack_transposed_f32(weights.data(), k, out, columns, data);
    f32.data = data;
  }
  auto* b = storage.make<float>(static_cast<std::size_t>(out));
  std::copy(torch_bias.begin(), torch_bias.end(), b);
  bias = b;

  scratch_of(nullptr, &scratch_bytes);
  const auto threads = static_cast<std::size_t>(executor.threads());
  scratch_memory = allocate_aligned(std::uint64_t{scratch_bytes} * threads);
  for (std::size_t t = 0; t < threads; ++t)
    scratch.push_back(scratch_of(scratch_memory.get() + t * scratch_bytes, nullptr));
}

Convolution::Impl::Scratch Convolution::Impl::scratch_of(std::byte* base, std::size_t* bytes) const {
  Layout layout(base);
  Scratch s{};
  const auto rows = static_cast<std::size_t>(block);
  s.gemm = layout.take<std::byte>(Kernels::gemm_scratch_bytes);
  s.acc = layout.take<std::int32_t>(rows * tile_columns);
  s.q = layout.take<std::uint8_t>((dtype == DType::int8 ? rows : 1) * ldq);
  s.quant = layout.take<RowQuant>(rows);
  s.rows = layout.take<float>((dtype == DType::int8 ? 1 : rows) * k);
  if (bytes) *bytes = layout.size_bytes();
  return s;
}

/// dst rows m0 … m0 + m − 1 = the gathered windows · Wᵀ + bias.
void Convolution::Impl::multiply(const Scratch& s, int m0, int m, float* dst) noexcept {
  const auto ld = static_cast<std::size_t>(out_channels);
  for (int n0 = 0; n0 < out_channels; n0 += tile_columns) {
    const int n = std::min(tile_columns, out_channels - n0);
    const Epilogue epilogue{.bias = bias + n0};
    float* out = dst + static_cast<std::size_t>(m0) * ld + n0;
    if (dtype == DType::int8) {
      const GemmU8S8Tile tile{.a = s.q,
                              .lda_bytes = ldq,
                              .rows = m,
                              .b = s8.at_panel(n0 / PackedS8::panel),
                              .b_sum = col_sum + n0,
                              .cols = n,
                              .k = s8.k,
                              .k_padded = s8.k_padded(),
                              .acc = s.acc,
                              .ldacc = tile_columns,
                              .scratch = s.gemm};
      kernels.linear_u8s8(tile, {s.quant, col_scale + n0, col_sum + n0, s8.k}, epilogue, out, ld);
    } else {
      auto* acc = reinterpret_cast<float*>(s.acc);
      kernels.gemm_f32(s.rows, k, m, f32.at_panel(n0 / PackedF32::panel), f32.k, ceil_div(n, PackedF32::panel), acc,
                       tile_columns);
      kernels.finish_f32(acc, tile_columns, m, n, epilogue, out, ld);
    }
  }
}

/// @param gather  (scratch, row of the tile, window) puts one window where the product reads it
template <class Gather>
void Convolution::Impl::run(const Gather& gather, float* dst) noexcept {
  vitrail::run(executor, ceil_div(grid.count(), block), [&](int task, int thread) {
    const Scratch& s = scratch[static_cast<std::size_t>(thread)];
    const int m0 = task * block, m = std::min(block, grid.count() - m0);
    for (int i = 0; i < m; ++i) gather(s, static_cast<std::size_t>(i), m0 + i);
    multiply(s, m0, m, dst);
  });
}

Result<Convolution> Convolution::make(const WindowGrid& grid, int out_channels, std::span<const float> weights,
                                      std::span<const float> bias, const ConvolutionOptions& options) try {
  if (grid.count() == 0) return argument_error("grid", "no windows", "one that WindowGrid::make gave");
  if (Status s = check_dtype("dtype", options.dtype); !s) return s.error();
  if (Status s = check_range("out_channels", out_channels, 1, 65536); !s) return s.error();
  if (Status s = options.executor ? check_range("executor->threads()", options.executor->threads(), 1, 256)
                                  : check_range("threads", options.threads, 1, 256);
      !s)
    return s.error();
  if (grid.window_size() > GemmU8S8Tile::largest_k)
    return argument_error("kernel_height x kernel_width x channels", std::to_string(grid.window_size()),
                          "at most " + std::to_string(GemmU8S8Tile::largest_k) + ", so that sums stay exact");
  const auto out = static_cast<std::uint64_t>(out_channels);
  if (Status s = check_count("weights", weights.size(), out * grid.window_size(),
                             "[out_channels, channels, kernel_height, kernel_width]");
      !s)
    return s.error();
  if (!bias.empty())
    if (Status s = check_count("bias", bias.size(), out, "[out_channels], or none"); !s) return s.error();
  if (Status s = check_finite("weights", weights); !s) return s.error();
  if (Status s = check_finite("bias", bias); !s) return s.error();
  const auto kernels = select_kernels();
  if (!kernels) return kernels.error();
  return Convolution(std::make_unique<Impl>(grid, out_channels, weights, bias, *kernels, options));
} catch (const std::system_error& error) {
  return Error{ErrorCode::out_of_memory, std::string("Convolution::make: cannot start its threads: ") + error.what()};
} catch (...) {
  return Error{ErrorCode::out_of_memory, "Convolution::make: out of memory"};
}

Convolution::Convolution(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Convolution::Convolution(Convolution&&) noexcept = default;
Convolution& Convolution::operator=(Convolution&&) noexcept = default;
Convolution::~Convolution() = default;

const WindowGrid& Convolution::grid() const noexcept { return impl_->grid; }
int Convolution::out_channels() const noexcept { return impl_->out_channels; }
std::size_t Convolution::memory_bytes() const noexcept {
  return impl_->storage.bytes() + impl_->scratch_bytes * impl_->scratch.size();
}

void Convolution::run(const float* src, std::ptrdiff_t src_stride_bytes, float* dst) noexcept {
  Impl& c = *impl_;
  c.run(
      [&](const Impl::Scratch& s, std::size_t row, int window) {
        float* values = c.dtype == DType::int8 ? s.rows : s.rows + row * c.k;
        gather_window(c.grid, src, src_stride_bytes, window, 0.0f, values);
        if (c.dtype == DType::int8)
          c.kernels.quantize_rows(values, c.k, 1, static_cast<int>(c.k), s.q + row * c.ldq, c.ldq, s.quant + row);
      },
      dst);
}

void Convolution::run(const std::uint8_t* src, std::ptrdiff_t src_stride_bytes, float scale, std::uint8_t zero_point,
                      float* dst) noexcept {
  Impl& c = *impl_;
  c.run(
      [&](const Impl::Scratch& s, std::size_t row, int window) {
        std::uint8_t* bytes = c.dtype == DType::int8 ? s.q + row * c.ldq : s.q;
        gather_window(c.grid, src, src_stride_bytes, window, zero_point, bytes);
        s.quant[row] = {scale, zero_point};
        if (c.dtype == DType::int8) return;
        float* values = s.rows + row * c.k;
        for (std::size_t i = 0; i < c.k; ++i) values[i] = scale * static_cast<float>(bytes[i] - zero_point);
      },
      dst);
}

}  // namespace vitrail
