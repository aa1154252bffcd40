// A network of a known architecture filled with pseudo-random numbers, for benchmarks: the same on every machine.
#include <cmath>
#include <memory>
#include <new>

#include "runtime/model/architecture.hpp"
#include "runtime/model/config.hpp"

namespace vitrail {
namespace {

std::uint64_t fnv1a64(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001B3;
  return hash;
}

std::uint64_t splitmix64(std::uint64_t state) {
  state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9;
  state = (state ^ state >> 27) * 0x94D049BB133111EB;
  return state ^ state >> 31;
}

constexpr std::uint64_t golden_ratio = 0x9E3779B97F4A7C15;

/// Remembers which tensors are wanted, then allocates and fills all of them at once.
class Filler {
 public:
  /// Uniform with mean `offset` and the given deviation.
  void add(TensorView& view, std::string name, std::vector<std::int64_t> shape, double deviation, float offset = 0) {
    view.name = std::move(name);
    view.shape = std::move(shape);
    jobs_.push_back({&view, static_cast<float>(deviation * std::sqrt(3.0)), offset});
  }
  void norm(NormSource& norm, const std::string& name, int width) {
    add(norm.weight, name + ".weight", {width}, 0, 1);
    add(norm.bias, name + ".bias", {width}, 0);
  }
  void linear(LinearSource& linear, const std::string& name, int out, int in) {
    linear.weights.resize(1);
    linear.biases.assign(1, TensorView());
    add(linear.weights[0], name + ".weight", {out, in}, 1 / std::sqrt(in));  // keeps the variance of its input
    add(*linear.biases[0], name + ".bias", {out}, 0.02);
  }

  std::shared_ptr<const void> fill() {
    std::size_t total = 0;
    for (const Job& job : jobs_) total += static_cast<std::size_t>(job.view->elements());
    auto values = std::shared_ptr<float[]>(new float[total]);
    float* at = values.get();
    for (const Job& job : jobs_) {
      job.view->data = reinterpret_cast<const std::byte*>(at);
      std::uint64_t state = fnv1a64(job.view->name);
      for (std::int64_t i = 0, n = job.view->elements(); i < n; ++i) {
        auto bits = static_cast<std::int32_t>(splitmix64(state += golden_ratio) >> 40);  // 24 bits: exact in a float
        *at++ = job.offset + static_cast<float>(bits - (1 << 23)) * 0x1p-23f * job.range;
      }
    }
    return values;
  }

 private:
  struct Job {
    TensorView* view;
    float range, offset;
  };
  std::vector<Job> jobs_;
};

VitConfig config_of(const Architecture& architecture) {
  VitConfig vit;
  vit.family = architecture.family;
  vit.format = "timm";
  vit.image_height = vit.image_width = architecture.image;
  vit.channels = 3;
  vit.patch_height = vit.patch_width = architecture.patch;
  vit.table_rows = vit.table_columns = architecture.image / architecture.patch;
  vit.positions = PositionRule::bicubic_antialias;
  vit.embed_dim = architecture.embed_dim;
  vit.num_layers = architecture.num_layers;
  vit.num_heads = architecture.num_heads;
  vit.mlp_dim = architecture.mlp_dim;
  vit.num_labels = 1000;
  vit.has_cls = architecture.class_token;
  vit.has_dist = architecture.distilled;
  vit.layer_norm_eps = 1e-6f;
  vit.pool = architecture.pool == "avg" ? Pool::mean : Pool::cls;
  vit.timm_crop = TimmCrop{.pct = 0.9};
  vit.preprocess = timm_resize(architecture.image, architecture.image, *vit.timm_crop);
  vit.preprocess.mean = {0.5, 0.5, 0.5, 0};
  vit.preprocess.std = {0.5, 0.5, 0.5, 1};
  return vit;
}

}  // namespace

Result<NetworkSource> random_network(std::string_view name) try {
  auto architecture = parse_architecture(name);
  if (!architecture) return Error{ErrorCode::invalid_argument, architecture.error().message};
  if (architecture->family != "vit" && architecture->family != "deit")
    return Error{ErrorCode::invalid_argument,
                 "architecture " + in_quotes(name) + ": only plain ViT and DeiT are made with random weights"};
  if (architecture->image == 0)
    return Error{ErrorCode::invalid_argument,
                 "architecture " + in_quotes(name) + ": no image size, expected a name like vit_base_patch16_224"};
  NetworkSource out;
  VitConfig& vit = out.config = config_of(*architecture);
  FirstError errors;
  check_dimensions(vit, "architecture " + in_quotes(name), errors);
  if (auto status = errors.status(); !status) return Error{ErrorCode::invalid_argument, status.error().message};

  const int d = vit.embed_dim, m = vit.mlp_dim;
  Filler filler;
  filler.add(out.patch_weight, "patch_embed.proj.weight", {d, vit.channels, vit.patch_height, vit.patch_width},
             1 / std::sqrt(vit.patch_size()));
  filler.add(out.patch_bias.emplace(), "patch_embed.proj.bias", {d}, 0.02);
  if (vit.has_cls) filler.add(out.cls.emplace(), "cls_token", {1, 1, d}, 0.02);
  if (vit.has_dist) filler.add(out.dist.emplace(), "dist_token", {1, 1, d}, 0.02);
  filler.add(out.positions.emplace(), "pos_embed", {1, vit.num_tokens(), d}, 0.02);
  out.blocks.resize(static_cast<std::size_t>(vit.num_layers));
  for (std::size_t i = 0; i < out.blocks.size(); ++i) {
    const std::string prefix = "blocks." + std::to_string(i) + ".";
    BlockSource& block = out.blocks[i];
    filler.norm(block.norm1, prefix + "norm1", d);
    filler.linear(block.qkv, prefix + "attn.qkv", 3 * d, d);
    filler.linear(block.proj, prefix + "attn.proj", d, d);
    filler.norm(block.norm2, prefix + "norm2", d);
    filler.linear(block.fc1, prefix + "mlp.fc1", m, d);
    filler.linear(block.fc2, prefix + "mlp.fc2", d, m);
  }
  filler.norm(out.norm.emplace(), "norm", d);
  filler.linear(out.head.emplace(), "head", vit.num_labels, d);
  if (vit.has_dist) filler.linear(out.head_dist.emplace(), "head_dist", vit.num_labels, d);
  out.files = filler.fill();
  return out;
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::out_of_memory, "architecture " + in_quotes(name) + ": no memory for its weights"};
}

}  // namespace vitrail
