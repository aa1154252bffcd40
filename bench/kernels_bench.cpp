// Microbenchmarks of every kernel, on every class this CPU has: op/shape/platform. See bench/README.md for how to pin
// and read.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "runtime/storage.hpp"
#include "runtime/vit.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/platforms.hpp"
#include "tests/support/random.hpp"
#include "vitrail/patches.hpp"
#include "vitrail/preprocess.hpp"
#include "vitrail/session.hpp"

namespace {

using namespace vitrail;
using benchmark::Counter;
using test::Random;

constexpr int tokens = 197;  // ViT at 224 × 224, P = 16

template <class T>
struct Buffer {
  explicit Buffer(std::size_t count)
      : memory(allocate_aligned(count * sizeof(T))), data(reinterpret_cast<T*>(memory.get())) {}
  AlignedBytes memory;
  T* data;
};

Buffer<float> floats(std::size_t count) {
  Random random(1);
  Buffer<float> b(count);
  for (std::size_t i = 0; i < count; ++i) b.data[i] = random.uniform(-2, 2);
  return b;
}

void rate(benchmark::State& state, const char* name, double per_iteration) {
  state.counters[name] = Counter(per_iteration * static_cast<double>(state.iterations()) * 1e-9, Counter::kIsRate);
}

/// Multiply-accumulates per second with nothing but registers: the best of many bursts of a millisecond and more, so
/// that noise cannot flatter the product.
double peak_of(std::uint64_t (*burst)(int)) {
  double best = 0;
  for (int measured = 0, rounds = 1000; measured < 25;) {
    const auto start = std::chrono::steady_clock::now();
    const auto done = static_cast<double>(burst(rounds));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (seconds < 1e-3) {
      rounds *= 2;
    } else {
      best = std::max(best, done / seconds);
      ++measured;
    }
  }
  return best;
}

void share_of_peak(benchmark::State& state, std::uint64_t (*burst)(int), double macs) {
  static std::map<std::uint64_t (*)(int), double> peaks;
  if (!burst) return;
  if (!peaks.count(burst)) peaks[burst] = peak_of(burst);
  state.counters["of_peak"] = Counter(macs * static_cast<double>(state.iterations()) / peaks[burst], Counter::kIsRate);
}

/// One layer's int8 product, in the tiles of a session with one thread. `linear`: with its epilogue, which adds the
/// residual unless it widens.
void product(benchmark::State& state, const Kernels& kernels, int n, int k, bool linear) {
  Buffer<std::uint8_t> a(static_cast<std::size_t>(tokens) * static_cast<std::size_t>(k)),
      scratch(Kernels::gemm_scratch_bytes);
  Buffer<std::int8_t> b(static_cast<std::size_t>(n) * static_cast<std::size_t>(k));
  const int columns = kernels.tile_panels(k) * PackedS8::panel;
  const RowBlocks blocks(tokens, kernels.gemm_tile.max_rows, kernels.gemm_tile.row_unit, 1);
  const int rows = blocks.block(0, 0).count;
  const auto ld = static_cast<std::size_t>(n);
  Buffer<std::int32_t> acc(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns)), b_sum(ld);
  auto y = floats(static_cast<std::size_t>(tokens) * ld);
  const auto scale = floats(ld), bias = floats(ld);
  const std::vector<RowQuant> quant(tokens, {1e-5f, 128});
  Random random(2);
  for (int i = 0; i < tokens * k; ++i) a.data[i] = static_cast<std::uint8_t>(random.bits());
  for (int i = 0; i < n * k; ++i) b.data[i] = static_cast<std::int8_t>(random.integer(-127, 127));
  for (auto _ : state)
    for (int n0 = 0; n0 < n; n0 += columns)
      for (int m = 0; m < tokens; m += rows) {
        const GemmU8S8Tile tile{.a = a.data + static_cast<std::size_t>(m) * static_cast<std::size_t>(k),
                                .lda_bytes = static_cast<std::size_t>(k),
                                .rows = std::min(rows, tokens - m),
                                .b = b.data + static_cast<std::size_t>(n0) * static_cast<std::size_t>(k),
                                .b_sum = b_sum.data + n0,
                                .cols = std::min(columns, n - n0),
                                .k = k,
                                .k_padded = k,
                                .acc = acc.data,
                                .ldacc = static_cast<std::size_t>(columns),
                                .scratch = scratch.data};
        float* dst = y.data + static_cast<std::size_t>(m) * ld + n0;
        const Epilogue epilogue{bias.data + n0, Activation::none, n > k ? nullptr : dst, ld};
        if (linear)
          kernels.linear_u8s8(tile, {quant.data() + m, scale.data + n0, b_sum.data + n0, k}, epilogue, dst, ld);
        else
          kernels.gemm_u8s8(tile);
      }
  rate(state, "GMAC/s", static_cast<double>(tokens) * n * k);
  share_of_peak(state, kernels.peak_u8s8, static_cast<double>(tokens) * n * k);
}

void gemm_f32(benchmark::State& state, const Kernels& kernels, int n, int k) {
  const auto a = floats(static_cast<std::size_t>(tokens) * static_cast<std::size_t>(k)),
             b = floats(static_cast<std::size_t>(n) * static_cast<std::size_t>(k));
  Buffer<float> c(48 * 128);
  for (auto _ : state)
    for (int n0 = 0; n0 < n; n0 += 128)
      for (int m = 0; m < tokens; m += 42)
        kernels.gemm_f32(a.data + static_cast<std::size_t>(m) * static_cast<std::size_t>(k),
                         static_cast<std::size_t>(k), std::min(42, tokens - m),
                         b.data + static_cast<std::size_t>(n0) * static_cast<std::size_t>(k), k,
                         std::min(128, n - n0) / 16, c.data, 128);
  rate(state, "GMAC/s", static_cast<double>(tokens) * n * k);
  share_of_peak(state, kernels.peak_f32, static_cast<double>(tokens) * n * k);
}

void quantize_rows(benchmark::State& state, const Kernels& kernels, int k) {
  const auto width = static_cast<std::size_t>(k);
  const auto x = floats(tokens * width);
  Buffer<std::uint8_t> q(tokens * width);
  std::vector<RowQuant> quant(tokens);
  for (auto _ : state) kernels.quantize_rows(x.data, width, tokens, k, q.data, width, quant.data());
  rate(state, "GB/s", 5.0 * tokens * k);
}

void layer_norm(benchmark::State& state, const Kernels& kernels, int k) {
  const auto width = static_cast<std::size_t>(k);
  const auto x = floats(tokens * width), gamma = floats(width), beta = floats(width);
  Buffer<float> y(tokens * width);
  for (auto _ : state) kernels.layer_norm(x.data, width, tokens, k, gamma.data, beta.data, 1e-6f, y.data, width);
  rate(state, "GB/s", 8.0 * tokens * k);
}

void layer_norm_quantize(benchmark::State& state, const Kernels& kernels, int k) {
  const auto width = static_cast<std::size_t>(k);
  const auto x = floats(tokens * width), gamma = floats(width), beta = floats(width);
  Buffer<float> scratch(Kernels::rows_together * width);
  Buffer<std::uint8_t> q(tokens * width);
  std::vector<RowQuant> quant(tokens);
  for (auto _ : state)
    kernels.layer_norm_quantize(x.data, width, tokens, k, gamma.data, beta.data, 1e-6f, scratch.data, q.data, width,
                                quant.data());
  rate(state, "GB/s", 5.0 * tokens * k);
}

void swiglu(benchmark::State& state, const Kernels& kernels, int k) {
  const auto width = static_cast<std::size_t>(k);
  const auto x = floats(tokens * 2 * width);
  Buffer<float> y(tokens * width);
  for (auto _ : state) kernels.swiglu(x.data, 2 * width, tokens, k, y.data, width);
  rate(state, "Gelem/s", static_cast<double>(tokens) * k);
}

/// Rotary positions on the queries of heads of 64.
void rotate(benchmark::State& state, const Kernels& kernels, int dim) {
  constexpr int half = 32;
  const auto width = static_cast<std::size_t>(dim);
  auto x = floats(tokens * width);
  const auto cos = floats(tokens * half), sin = floats(tokens * half);
  for (std::size_t i = 0; i < tokens * half; ++i) {  // of angles: the vectors are turned, and stay as long as they are
    const float angle = cos.data[i];
    cos.data[i] = std::cos(angle);
    sin.data[i] = std::sin(angle);
  }
  for (auto _ : state) kernels.rotate(x.data, width, tokens, dim / (2 * half), half, cos.data, sin.data);
  rate(state, "GB/s", 8.0 * tokens * dim);
}

void softmax(benchmark::State& state, const Kernels& kernels, int cols) {
  const auto width = static_cast<std::size_t>(cols);
  auto x = floats(width * width);
  for (auto _ : state) kernels.softmax(x.data, width, cols, cols, 0.125f);
  rate(state, "Gelem/s", static_cast<double>(width * width));
}

/// Int8 attention's softmax: one head's sums of Q·Kᵀ to u8 weights.
void softmax_quantize(benchmark::State& state, const Kernels& kernels, int cols) {
  const std::size_t n = static_cast<std::size_t>(cols), width = align_up(n);
  Buffer<std::int32_t> acc(n * width), sums(width);
  Random random(6);
  for (std::size_t i = 0; i < n * width; ++i) acc.data[i] = random.integer(-60000, 60000);
  const auto scale = floats(width);
  Buffer<float> scratch(3 * width);
  Buffer<std::uint8_t> p(n * width);
  std::vector<RowQuant> quant(n);
  for (auto _ : state) {
    std::fill(quant.begin(), quant.end(), RowQuant{1e-3f, 128});
    kernels.softmax_quantize(acc.data, width, cols, cols, {quant.data(), scale.data, sums.data, 64}, 0.125f,
                             scratch.data, p.data, width, quant.data());
  }
  rate(state, "Gelem/s", static_cast<double>(n * n));
}

/// Keys (rows) or values (columns) of one head as s8 weights.
void pack_s8(benchmark::State& state, const Kernels& kernels, int t, bool keys) {
  constexpr int head_dim = 64;
  const std::size_t width = align_up(static_cast<std::size_t>(t));
  const auto x = floats(static_cast<std::size_t>(t) * head_dim);
  Buffer<std::int8_t> packed(width * head_dim);
  Buffer<float> scale(width);
  Buffer<std::int32_t> sums(width);
  for (auto _ : state)
    if (keys)
      kernels.pack_rows_s8(x.data, head_dim, t, head_dim, kernels.layout_s8, packed.data, scale.data, sums.data);
    else
      kernels.pack_columns_s8(x.data, head_dim, t, head_dim, kernels.layout_s8, packed.data, scale.data, sums.data);
  rate(state, "GB/s", 5.0 * t * head_dim);
}

/// The same for attention in f32.
void pack_f32(benchmark::State& state, const Kernels& kernels, int t, bool keys) {
  constexpr int head_dim = 64;
  const auto x = floats(static_cast<std::size_t>(t) * head_dim);
  Buffer<float> packed(align_up(static_cast<std::size_t>(t)) * head_dim);
  for (auto _ : state)
    if (keys)
      kernels.pack_transposed_f32(x.data, head_dim, t, head_dim, packed.data);
    else
      kernels.pack_f32(x.data, head_dim, t, head_dim, packed.data);
  rate(state, "GB/s", 8.0 * t * head_dim);
}

/// What is between fc1 and fc2: GELU, quantisation.
void activate_quantize(benchmark::State& state, const Kernels& kernels, int k) {
  const auto width = static_cast<std::size_t>(k);
  const auto x = floats(static_cast<std::size_t>(tokens) * width);
  Buffer<float> scratch(2 * width);
  Buffer<std::uint8_t> q(static_cast<std::size_t>(tokens) * width);
  std::vector<RowQuant> quant(tokens);
  for (auto _ : state)
    kernels.activate_quantize(x.data, width, tokens, k, Activation::gelu_erf, scratch.data, q.data, width,
                              quant.data());
  rate(state, "Gelem/s", static_cast<double>(tokens) * k);
}

void patchify_u8(benchmark::State& state, const std::string& platform, int height, int width, int patch) {
  const test::CpuLimit limit(platform);
  const PatchGrid grid =
      PatchGrid::make(
          {.height = height, .width = width, .patch_height = patch, .patch_width = patch, .remainder = Remainder::crop})
          .value();
  Random random(4);
  const auto pixels = random.bytes(static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3);
  std::vector<std::uint8_t> patches(grid.size());
  for (auto _ : state) {
    patchify(grid, pixels.data(), width * 3, patches.data());
    benchmark::ClobberMemory();
  }
  rate(state, "GB/s", static_cast<double>(grid.size()));
}

/// A camera's picture to the short side a network's processor asks for: bicubic, antialiased, Pillow's bytes.
void resize_bicubic(benchmark::State& state, const std::string& platform, int width, int height, int short_side) {
  const test::CpuLimit limit(platform);
  Random random(7);
  const auto pixels = random.bytes(static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3);
  Resizer resizer = Resizer::plan({.src_width = width,
                                   .src_height = height,
                                   .dst_width = width * short_side / height,
                                   .dst_height = short_side,
                                   .filter = Resampling::bicubic})
                        .value();
  const ImageView picture{pixels.data(), width, height, width * 3, PixelFormat::rgb8};
  Image result(width * short_side / height, short_side, PixelFormat::rgb8);
  for (auto _ : state)
    if (!resizer.run(picture, result.row(0), static_cast<std::ptrdiff_t>(result.row_bytes())))
      state.SkipWithError("refused");
  rate(state, "GB/s", static_cast<double>(pixels.size()));
}

void copy_bytes(benchmark::State& state, std::size_t bytes) {
  Random random(4);
  const auto src = random.bytes(bytes);
  std::vector<std::uint8_t> dst(bytes);
  for (auto _ : state) {
    __builtin_memcpy(dst.data(), src.data(), bytes);
    benchmark::ClobberMemory();
  }
  rate(state, "GB/s", static_cast<double>(bytes));
}

/// One encoder block, one picture, one thread.
void block(benchmark::State& state, const std::string& architecture, const std::string& platform, DType dtype) {
  const test::CpuLimit limit(platform);  // weights are packed in the order that its product reads
  const LoadOptions options{.dtype = dtype};
  auto source = random_network(architecture).value();
  source.config.num_layers = 1;
  source.blocks.resize(1);
  const Weights weights = pack_weights(source, options).value();
  Selection selection = select_kernels(platform, false, 1).value();
  const Plan plan = make_plan(weights, selection.kernels, 0, 0).value();
  Engine engine(std::move(selection), nullptr, 1, extent_of(plan), weights.dtype);
  Layout size;
  vitrail::State::place(size, engine, weights, plan, 1, {});
  const AlignedBytes memory = allocate_aligned(size.size_bytes());
  Layout layout(memory.get());
  auto activations = vitrail::State::place(layout, engine, weights, plan, 1, {});
  const VitConfig& c = weights.config;
  const std::size_t count = static_cast<std::size_t>(c.num_tokens()) * static_cast<std::size_t>(c.embed_dim);
  Random random(5);
  for (std::size_t i = 0; i < count; ++i) activations.x[i] = random.uniform(-1, 1);
  const std::vector<float> x(activations.x, activations.x + count);
  for (auto _ : state) {
    std::copy(x.begin(), x.end(), activations.x);  // else the residual stream would grow from run to run
    transform(engine, dtype, plan, weights.blocks[0], activations, 1, c.num_tokens(), c.num_tokens());
  }
  const double t = c.num_tokens(), d = c.embed_dim, m = c.mlp_dim;
  rate(state, "GMAC/s", t * (4 * d * d + 2 * d * m) + 2 * t * t * d);
}

/// A whole network of one kind, from pixels to logits, on one thread.
void encode(benchmark::State& state, const std::string& architecture, const std::string& platform, DType dtype) {
  const test::CpuLimit limit(platform);
  LoadOptions options;
  options.dtype = dtype;
  const Model model = Model::random(architecture, options).value();
  Session session = model.session().value();
  Image image(model.info().image_width, model.info().image_height, PixelFormat::rgb8);
  for (auto _ : state)
    if (!session.run(image)) state.SkipWithError("run failed");
  rate(state, "GMAC/s", static_cast<double>(model.info().macs));
}

template <class... Args>
void add(const std::string& name, Args... args) {
  benchmark::RegisterBenchmark(name.c_str(), args...)->Unit(benchmark::kMicrosecond);
}

}  // namespace

int main(int argc, char** argv) {
  const auto platforms = test::platforms();
  for (const auto& p : platforms) {
    const auto shape = [](int m, int n, int k) {
      return std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) + "/";
    };
    for (const int d : {192, 384, 768, 1024}) {  // Ti, S, B, L
      for (const auto& [n, k] : {std::pair{3 * d, d}, {d, d}, {4 * d, d}, {d, 4 * d}}) {
        add("gemm_u8s8/" + shape(tokens, n, k) + p.name, product, p.kernels, n, k, false);
        add("linear_u8s8/" + shape(tokens, n, k) + p.name, product, p.kernels, n, k, true);
        if (p.kernels.linear_at_once) {
          Kernels apart = p.kernels;
          apart.linear_at_once = nullptr;
          add("linear_u8s8_apart/" + shape(tokens, n, k) + p.name, product, apart, n, k, true);
        }
        add("gemm_f32/" + shape(tokens, n, k) + p.name, gemm_f32, p.kernels, n, k);
      }
      const std::string rows = std::to_string(tokens) + "x" + std::to_string(d) + "/" + p.name;
      add("quantize_rows/" + rows, quantize_rows, p.kernels, d);
      add("layer_norm/" + rows, layer_norm, p.kernels, d);
      add("layer_norm_quantize/" + rows, layer_norm_quantize, p.kernels, d);
      add("swiglu/" + rows, swiglu, p.kernels, d);
      add("rotate/" + rows, rotate, p.kernels, d);
      add("activate_quantize/197x" + std::to_string(4 * d) + "/" + p.name, activate_quantize, p.kernels, 4 * d);
    }
    for (const int t : {197, 577, 1370}) {
      const std::string scores = std::to_string(t) + "x" + std::to_string(t) + "/" + p.name;
      add("softmax/" + scores, softmax, p.kernels, t);
      add("softmax_quantize/" + scores, softmax_quantize, p.kernels, t);
      add("pack_keys/" + std::to_string(t) + "x64/" + p.name, pack_s8, p.kernels, t, true);
      add("pack_values/" + std::to_string(t) + "x64/" + p.name, pack_s8, p.kernels, t, false);
      add("pack_keys_f32/" + std::to_string(t) + "x64/" + p.name, pack_f32, p.kernels, t, true);
      add("pack_values_f32/" + std::to_string(t) + "x64/" + p.name, pack_f32, p.kernels, t, false);
    }
    add("resize_bicubic/3000x4000x3_256/" + p.name, resize_bicubic, p.name, 4000, 3000, 256);
    if (p.name != "reference")
      for (const char* size : {"tiny", "small", "base"})
        for (const auto dtype : {DType::int8, DType::f32}) {
          add(std::string("block_") + (dtype == DType::int8 ? "int8" : "f32") + "/vit_" + size + "_patch16_224/" +
                  p.name,
              block, "vit_" + std::string(size) + "_patch16_224", p.name, dtype);
          add(std::string("encode_") + (dtype == DType::int8 ? "int8" : "f32") + "/vit_" + size + "_patch16_224/" +
                  p.name,
              encode, "vit_" + std::string(size) + "_patch16_224", p.name, dtype);
        }
  }
  for (const auto& [h, w] : {std::pair{224, 224}, {1080, 1920}}) {
    const std::string size = std::to_string(h) + "x" + std::to_string(w) + "x3";
    for (const int patch : {8, 14, 16, 32})
      for (const auto& p : platforms)
        add("patchify_u8/" + size + "_P" + std::to_string(patch) + "/" + p.name, patchify_u8, p.name, h, w, patch);
    add("memcpy/" + size + "/libc", copy_bytes, static_cast<std::size_t>(h) * static_cast<std::size_t>(w) * 3);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
