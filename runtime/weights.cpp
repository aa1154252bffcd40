#include "runtime/weights.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <span>

#include "runtime/thread_pool.hpp"

namespace vitrail {
namespace {

bool finite(const float* x, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    if (!std::isfinite(x[i])) return false;
  return true;
}

std::string in_tensor(const std::string& name) { return "tensor '" + name + "'"; }

/// Fills one row [in] of a weight matrix in f32; `temp` is scratch of the same length.
using RowReader = std::function<void(int row, float* dst, float* temp)>;

class Packer {
 public:
  Packer(const NetworkSource& source, const LoadOptions& options, const Kernels& kernels, Weights& weights)
      : source_(source), options_(options), kernels_(kernels), pool_(options.threads), w_(weights) {
    scratch_.resize(static_cast<std::size_t>(pool_.threads()));
  }

  Status run();

 private:
  // The first error is kept; what comes after it is skipped.
  bool failed() const { return error_.has_value(); }
  void refuse(const std::string& what) {
    if (error_) return;
    error_ = {ErrorCode::bad_file, (source_.file.empty() ? "" : source_.file + ": ") + what +
                                       ": found a value that is NaN or infinite, expected finite weights"};
  }
  void advance(std::uint64_t bytes) {
    done_ += bytes;
    if (options_.progress) options_.progress(done_, total_);
  }

  const float* vector(const TensorView& tensor);
  Norm norm(const NormSource& source) { return {vector(source.weight), vector(source.bias)}; }
  /// @param scale  [out] that multiplies what the layer gives, weights and bias alike (LayerScale, folded); may be null
  Linear linear(const LinearSource& source, const float* scale = nullptr);
  Block block(const BlockSource& source);
  AttentionPool attention_pool(const AttentionPoolSource& source);
  Decoder decoder(const DecoderSource& source);
  Linear patch_embedding();
  Linear class_keys(const LinearSource& qkv);
  void tokens();
  void link();
  Linear pack(int out, int in, const float* bias, std::span<const TensorView> tensors, const RowReader& row);
  /// What is made of these tensors is not finite: the first one that is not, or what is made of them.
  void refuse_one(std::span<const TensorView> tensors, const std::string& made_of_them);
  void pack_s8(Linear& linear, std::atomic<bool>& bad, const RowReader& row);
  void pack_f32(Linear& linear, std::atomic<bool>& bad, const RowReader& row);

  const NetworkSource& source_;
  const LoadOptions& options_;
  const Kernels& kernels_;
  ThreadPool pool_;
  Weights& w_;
  std::vector<std::vector<float>> scratch_;  ///< per thread: the rows of a panel, and one more for their reader
  std::optional<Error> error_;
  std::uint64_t done_ = 0, total_ = 0;
};

const float* Packer::vector(const TensorView& tensor) {
  const auto count = static_cast<std::size_t>(tensor.elements());
  float* dst = w_.storage.make<float>(align_up(count, 64));  // kernels read whole panels
  to_f32(tensor, 0, tensor.elements(), dst);
  if (!finite(dst, count)) refuse(in_tensor(tensor.name));
  w_.parameters += count;
  advance(tensor.size_bytes());
  return dst;
}

void Packer::pack_s8(Linear& linear, std::atomic<bool>& bad, const RowReader& row) {
  PackedS8& p = linear.s8;
  p.n = linear.out;
  p.k = linear.in;
  auto* data = w_.storage.make<std::int8_t>(static_cast<std::size_t>(p.panels()) * PackedS8::panel *
                                            static_cast<std::size_t>(p.k_padded()));
  auto* scale = w_.storage.make<float>(static_cast<std::size_t>(p.panels()) * PackedS8::panel);
  auto* sum = w_.storage.make<std::int32_t>(static_cast<std::size_t>(p.panels()) * PackedS8::panel);
  p.data = data;
  linear.col_scale = scale;
  linear.col_sum = sum;
  vitrail::run(pool_, p.panels(), [&](int panel, int thread) {
    const auto in = static_cast<std::size_t>(p.k);
    float* x = scratch_[static_cast<std::size_t>(thread)].data();  // [64, in], then a row for its reader
    const int first = panel * PackedS8::panel, count = std::min(PackedS8::panel, p.n - first);
    for (int j = 0; j < count; ++j) row(first + j, x + static_cast<std::size_t>(j) * in, x + PackedS8::panel * in);
    if (!finite(x, static_cast<std::size_t>(count) * in)) {
      bad = true;
      return;
    }
    kernels_.pack_rows_s8(x, in, count, p.k, kernels_.layout_s8,
                          data + static_cast<std::size_t>(first) * static_cast<std::size_t>(p.k_padded()),
                          scale + first, sum + first);
  });
}

void Packer::pack_f32(Linear& linear, std::atomic<bool>& bad, const RowReader& row) {
  PackedF32& p = linear.f32;
  p.n = linear.out;
  p.k = linear.in;
  auto* data =
      w_.storage.make<float>(static_cast<std::size_t>(p.panels()) * PackedF32::panel * static_cast<std::size_t>(p.k));
  p.data = data;
  vitrail::run(pool_, p.panels(), [&](int panel, int thread) {
    float* x = scratch_[static_cast<std::size_t>(thread)].data();
    float* temp = x + p.k;
    float* dst = data + static_cast<std::size_t>(panel) * PackedF32::panel * static_cast<std::size_t>(p.k);
    for (int j = 0; j < PackedF32::panel && panel * PackedF32::panel + j < p.n; ++j) {
      row(panel * PackedF32::panel + j, x, temp);
      if (!finite(x, static_cast<std::size_t>(p.k))) bad = true;
      for (int k = 0; k < p.k; ++k) dst[static_cast<std::size_t>(k) * PackedF32::panel + j] = x[k];
    }
  });
}

void Packer::refuse_one(std::span<const TensorView> tensors, const std::string& made_of_them) {
  for (const TensorView& tensor : tensors) {
    std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
    to_f32(tensor, 0, tensor.elements(), values.data());
    if (!finite(values.data(), values.size())) return refuse(in_tensor(tensor.name));
  }
  refuse(made_of_them);
}

Linear Packer::pack(int out, int in, const float* bias, std::span<const TensorView> tensors, const RowReader& row) {
  const std::size_t rows = w_.dtype == DType::int8 ? PackedS8::panel : 1;
  for (auto& s : scratch_)
    if (s.size() < (rows + 1) * static_cast<std::size_t>(in)) s.resize((rows + 1) * static_cast<std::size_t>(in));
  Linear linear;
  linear.out = out;
  linear.in = in;
  linear.bias = bias;
  std::atomic<bool> bad{false};
  w_.dtype == DType::int8 ? pack_s8(linear, bad, row) : pack_f32(linear, bad, row);
  if (bad) refuse_one(tensors, in_tensor(tensors[0].name) + ", times what is folded into it");
  return linear;
}

Linear Packer::linear(const LinearSource& source, const float* scale) {
  const int in = static_cast<int>(source.weights[0].shape[1]);
  int out = 0;
  std::uint64_t bytes = 0;
  for (const auto& part : source.weights) {
    out += static_cast<int>(part.shape[0]);
    w_.parameters += static_cast<std::uint64_t>(part.elements());
    bytes += part.size_bytes();
  }
  float* bias = w_.storage.make<float>(align_up(static_cast<std::size_t>(out), 64));
  int at = 0;
  for (std::size_t i = 0; i < source.weights.size(); ++i) {
    if (const auto& b = source.biases[i]) {
      to_f32(*b, 0, b->elements(), bias + at);
      if (!finite(bias + at, static_cast<std::size_t>(b->elements()))) refuse(in_tensor(b->name));
      w_.parameters += static_cast<std::uint64_t>(b->elements());
    }
    at += static_cast<int>(source.weights[i].shape[0]);
  }
  for (int n = 0; scale && n < out; ++n) bias[n] *= scale[n];
  if (scale && !finite(bias, static_cast<std::size_t>(out)))
    refuse("bias of '" + source.weights[0].name + "', times LayerScale");
  Linear result = pack(out, in, bias, source.weights, [&](int row, float* dst, float*) {
    const float factor = scale ? scale[row] : 1.0f;
    std::size_t part = 0;
    while (row >= source.weights[part].shape[0]) row -= static_cast<int>(source.weights[part++].shape[0]);
    to_f32(source.weights[part], static_cast<std::int64_t>(row) * in, in, dst);
    for (int k = 0; scale && k < in; ++k) dst[k] *= factor;
  });
  for (const auto& part : source.weights) part.drop_pages();
  advance(bytes);
  return result;
}

Block Packer::block(const BlockSource& source) {
  const auto scale = [&](const std::optional<TensorView>& s) { return s ? vector(*s) : nullptr; };
  return {norm(source.norm1),
          linear(source.qkv),
          linear(source.proj, scale(source.scale1)),
          norm(source.norm2),
          linear(source.fc1),
          linear(source.fc2, scale(source.scale2)),
          source_.shares_bias(source) ? w_.blocks[0].bias : scale(source.bias)};
}

Decoder Packer::decoder(const DecoderSource& source) {
  Decoder d;
  const DecoderConfig& sizes = *w_.config.decoder;
  d.config = w_.config;
  d.config.embed_dim = sizes.embed_dim;
  d.config.num_layers = sizes.num_layers;
  d.config.num_heads = sizes.num_heads;
  d.config.mlp_dim = sizes.mlp_dim;
  d.embed = linear(source.embed);
  d.mask_token = vector(source.mask_token);
  d.positions = vector(source.positions);
  for (const auto& each : source.blocks) {
    if (failed()) break;
    d.blocks.push_back(block(each));
  }
  d.norm = norm(source.norm);
  d.pixels = linear(source.pixels);
  return d;
}

AttentionPool Packer::attention_pool(const AttentionPoolSource& source) {
  const auto D = static_cast<std::size_t>(w_.config.embed_dim);
  const TensorView& weight = source.query.weights[0];
  const float *probe = vector(source.probe), *bias = vector(*source.query.biases[0]);
  float* query = w_.storage.make<float>(align_up(D, 64));
  std::vector<float> row(D);
  for (std::size_t n = 0; n < D; ++n) {
    to_f32(weight, static_cast<std::int64_t>(n * D), w_.config.embed_dim, row.data());
    double sum = bias[n];
    for (std::size_t k = 0; k < D; ++k) sum += static_cast<double>(row[k]) * probe[k];
    query[n] = static_cast<float>(sum);
  }
  if (!finite(query, D)) refuse(in_tensor(weight.name));
  w_.parameters += static_cast<std::uint64_t>(weight.elements());
  advance(weight.size_bytes());
  AttentionPool pool;
  pool.query = query;
  pool.key_value = linear(source.key_value);
  pool.proj = linear(source.proj);
  pool.norm = norm(source.norm);
  pool.fc1 = linear(source.fc1);
  pool.fc2 = linear(source.fc2);
  return pool;
}

/// int8: Σ ((pixel·rescale − mean)/std)·w + b  =  Σ pixel·w' + b'  with w' = w·rescale/std and b' = b − Σ w·mean/std.
Linear Packer::patch_embedding() {
  const VitConfig& c = w_.config;
  const TensorView& t = source_.patch_weight;
  const int area = c.patch_height * c.patch_width;
  float* bias = w_.storage.make<float>(align_up(static_cast<std::size_t>(c.embed_dim), 64));
  if (source_.patch_bias) {
    to_f32(*source_.patch_bias, 0, c.embed_dim, bias);
    if (!finite(bias, static_cast<std::size_t>(c.embed_dim))) refuse(in_tensor(source_.patch_bias->name));
    w_.parameters += static_cast<std::uint64_t>(c.embed_dim);
  }
  const bool fold = w_.dtype == DType::int8;
  std::vector<float> plain(static_cast<std::size_t>(c.patch_size()));
  for (int n = 0; fold && n < c.embed_dim; ++n) {
    to_f32(t, static_cast<std::int64_t>(n) * c.patch_size(), c.patch_size(), plain.data());
    double shift = 0;
    for (int i = 0; i < c.patch_size(); ++i) {
      const auto ch = static_cast<std::size_t>(i / area);
      shift += plain[static_cast<std::size_t>(i)] * c.preprocess.mean[ch] / c.preprocess.std[ch];
    }
    bias[n] = static_cast<float>(bias[n] - shift);
  }
  if (!fold) {
    float* values = w_.storage.make<float>(256 * static_cast<std::size_t>(c.channels));
    w_.pixel_values = values;
    for (std::size_t ch = 0; ch < static_cast<std::size_t>(c.channels); ++ch)
      for (int v = 0; v < 256; ++v)
        *values++ = static_cast<float>((v * c.preprocess.rescale - c.preprocess.mean[ch]) / c.preprocess.std[ch]);
  }
  if (!finite(bias, static_cast<std::size_t>(c.embed_dim)))
    refuse_one(std::span(&t, 1), in_tensor(t.name) + ", times mean / std of the pictures");
  Linear result = pack(c.embed_dim, c.patch_size(), bias, std::span(&t, 1), [&](int n, float* dst, float* chw) {
    to_f32(t, static_cast<std::int64_t>(n) * c.patch_size(), c.patch_size(), chw);
    for (int ch = 0; ch < c.channels; ++ch) {
      const double factor = fold ? c.preprocess.rescale / c.preprocess.std[static_cast<std::size_t>(ch)] : 1.0;
      for (int i = 0; i < area; ++i) dst[i * c.channels + ch] = static_cast<float>(chw[ch * area + i] * factor);
    }
  });
  w_.parameters += static_cast<std::uint64_t>(t.elements());
  advance(t.size_bytes());
  return result;
}

/// Row k is column k of the keys' weights.
Linear Packer::class_keys(const LinearSource& qkv) {
  const int D = w_.config.embed_dim;
  std::size_t part = 0;
  std::int64_t first = D;
  while (first >= qkv.weights[part].shape[0]) first -= qkv.weights[part++].shape[0];
  const auto width = static_cast<std::size_t>(D);
  std::vector<float> keys(width * width);
  to_f32(qkv.weights[part], first * D, static_cast<std::int64_t>(width * width), keys.data());
  return pack(D, D, nullptr, std::span(&qkv.weights[part], 1), [&](int row, float* dst, float*) {
    for (std::size_t n = 0; n < width; ++n) dst[n] = keys[n * width + static_cast<std::size_t>(row)];
  });
}

void Packer::tokens() {
  const VitConfig& c = w_.config;
  const auto dim = static_cast<std::size_t>(c.embed_dim);
  const float* table = source_.positions ? vector(*source_.positions) : nullptr;
  float* prefix = w_.storage.make<float>(static_cast<std::size_t>(c.prefix_tokens()) * dim);
  std::size_t at = 0;
  for (const auto* token : {&source_.cls, &source_.dist}) {
    if (!*token) continue;
    const float* value = vector(**token);
    for (std::size_t d = 0; d < dim; ++d)
      prefix[at + d] = value[d] + (table && c.position_prefix ? table[at + d] : 0.0f);
    at += dim;
  }
  if (table) w_.positions = table + (c.position_prefix ? at : 0);
  if (source_.registers)
    std::copy_n(vector(*source_.registers), static_cast<std::size_t>(c.registers) * dim, prefix + at);
  if (!finite(prefix, static_cast<std::size_t>(c.prefix_tokens()) * dim))
    refuse("CLS and distillation token, with their positions");
  w_.prefix = prefix;
}

Status Packer::run() {
  total_ = source_.size_bytes();
  w_.patch = patch_embedding();
  tokens();
  for (const auto& block : source_.blocks) {
    if (failed()) break;
    if (&block == &source_.blocks.back() && w_.config.attends_class_apart() && w_.dtype == DType::int8)
      w_.class_keys = class_keys(block.qkv);  // first: what is packed leaves memory
    w_.blocks.push_back(this->block(block));
  }
  if (source_.pre_norm) w_.pre_norm = norm(*source_.pre_norm);
  if (source_.norm) w_.norm = norm(*source_.norm);
  if (source_.pool_norm) w_.pool_norm = norm(*source_.pool_norm);
  if (source_.attention_pool) w_.attention_pool = attention_pool(*source_.attention_pool);
  if (source_.projection) w_.projection = linear(*source_.projection);
  if (source_.pooler) w_.pooler = linear(*source_.pooler);
  if (source_.head) w_.head = linear(*source_.head);
  if (source_.head_dist) w_.head_dist = linear(*source_.head_dist);
  if (source_.decoder && !failed()) w_.decoder = decoder(*source_.decoder);
  if (failed()) return *error_;
  link();
  return {};
}

/// Tells the layers of the encoder and of the decoder what comes after them.
void Packer::link() {
  const auto link_all = [](Linear* last, std::vector<Block>& blocks) {
    for (Block& b : blocks)
      for (Linear* each : {&b.qkv, &b.proj, &b.fc1, &b.fc2}) {
        last->next = each->s8;
        last = each;
      }
  };
  link_all(&w_.patch, w_.blocks);
  if (w_.decoder) link_all(&w_.decoder->embed, w_.decoder->blocks);
}

}  // namespace

Linear Linear::part(int first, int count) const {
  Linear l = *this;
  l.out = count;
  if (l.bias) l.bias += first;
  if (s8.data) {
    l.s8.data = s8.at_panel(first / PackedS8::panel);
    l.s8.n = count;
    l.col_scale += first;
    l.col_sum += first;
  } else {
    l.f32.data = f32.at_panel(first / PackedF32::panel);
    l.f32.n = count;
  }
  return l;
}

Result<Weights> pack_weights(const NetworkSource& source, const LoadOptions& options) {
  Weights weights;
  weights.config = source.config;
  weights.dtype = options.dtype;
  const auto kernels = select_kernels();
  if (!kernels) return kernels.error();
  weights.layout = kernels->layout_s8;
  weights.gemm_name = kernels->gemm_name;
  if (auto status = Packer(source, options, *kernels, weights).run(); !status) return status.error();
  return weights;
}

}  // namespace vitrail
