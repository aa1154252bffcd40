#include <new>
#include <stdexcept>
#include <system_error>

#include "runtime/argument_error.hpp"
#include "runtime/model/network.hpp"
#include "runtime/model_impl.hpp"

namespace vitrail {
namespace {

/// Multiply-accumulates of one picture: patch embedding, blocks (linear layers and both attention products), heads.
/// What class tokens attend apart is counted where it takes the place of other products, not where it is done besides
/// them.
std::uint64_t count_macs(const Weights& w, const VitConfig& c, const Request& request) {
  const auto N = static_cast<std::uint64_t>(c.num_patches()), T = static_cast<std::uint64_t>(c.num_tokens()),
             D = static_cast<std::uint64_t>(c.embed_dim);
  const auto of = [](const Linear& l) { return static_cast<std::uint64_t>(l.in) * static_cast<std::uint64_t>(l.out); };
  const int blocks = request.blocks(w, c.num_tokens());
  std::uint64_t macs = blocks > 0 ? N * of(w.patch) : 0;
  if (request.wants(Outputs::patch_embed)) macs = 2 * N * of(w.patch);  // once more, without positions
  for (int i = 0; i < blocks; ++i) {
    const Block& b = w.blocks[static_cast<std::size_t>(i)];
    const bool last = i + 1 == c.num_layers;
    const auto R = static_cast<std::uint64_t>(last ? request.last_rows(w, c.num_tokens()) : c.num_tokens());
    const Linear* class_keys = last ? request.class_keys(w, c.num_tokens()) : nullptr;
    if (class_keys && R <= static_cast<std::uint64_t>(c.class_tokens())) {
      const std::uint64_t queries = R * static_cast<std::uint64_t>(c.num_heads);
      macs += R * of(b.queries()) + queries * (of(*class_keys) + 2 * T * D + of(b.values()));
    } else {
      macs += (R == T ? T * of(b.qkv) : T * of(b.keys_values()) + R * of(b.queries())) + 2 * R * T * D;
    }
    macs += R * (of(b.proj) + of(b.fc1) + of(b.fc2));
  }
  if (request.classifies(w)) macs += of(*w.head) + (w.head_dist ? of(*w.head_dist) : 0);
  if (w.projection && request.wants(Outputs::image_embeds)) macs += of(*w.projection);
  if (w.pooler && request.wants(Outputs::pooled)) macs += of(*w.pooler);
  if (const auto& p = w.attention_pool; p && request.pools(w))
    macs += T * of(p->key_value) + 2 * T * D + of(p->proj) + of(p->fc1) + of(p->fc2);
  return macs;
}

}  // namespace

ModelInfo make_info(const Weights& w, const VitConfig& c, const Request& request) {
  ModelInfo info;
  info.family = c.family;
  info.format = c.format;
  info.dtype = w.dtype;
  info.image_height = c.image_height;
  info.image_width = c.image_width;
  info.channels = c.channels;
  info.patch_height = c.patch_height;
  info.patch_width = c.patch_width;
  info.num_patches = c.num_patches();
  info.num_tokens = c.num_tokens();
  info.num_registers = c.registers;
  info.projection_dim = c.projection_dim;
  info.embed_dim = c.embed_dim;
  info.num_layers = c.num_layers;
  info.num_heads = c.num_heads;
  info.mlp_dim = c.mlp_dim;
  info.num_labels = c.num_labels;
  info.has_decoder = w.decoder.has_value();
  info.mask_ratio = w.decoder ? c.decoder->mask_ratio : 0;
  info.parameters = w.parameters;
  info.macs = count_macs(w, c, request);
  info.weights_bytes = w.storage.bytes();
  info.labels = c.labels;
  info.preprocess = c.preprocess;
  return info;
}

namespace {

/// Reading and packing, with everything the standard library may throw turned into an Error.
template <class Read>
Result<Model> build(const Read& read, const LoadOptions& options) try {
  if (Status s = check_dtype("LoadOptions::dtype", options.dtype); !s) return s.error();
  if (Status s = check_range("LoadOptions::threads", options.threads, 1, 256); !s) return s.error();
  auto source = read();
  if (!source) return source.error();
  auto weights = pack_weights(*source, options);
  if (!weights) return weights.error();
  auto impl = std::make_shared<Model::Impl>();
  impl->weights = std::move(*weights);
  impl->info = make_info(impl->weights, impl->weights.config, {});
  return Model(std::move(impl));
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::out_of_memory, "loading the model: out of memory"};
} catch (const std::length_error&) {
  return Error{ErrorCode::out_of_memory, "loading the model: out of memory"};
} catch (const std::system_error& error) {
  return Error{ErrorCode::io, std::string("loading the model: ") + error.what()};
}

}  // namespace

Model::Model(std::shared_ptr<const Impl> impl) noexcept : impl_(std::move(impl)) {}

const ModelInfo& Model::info() const noexcept { return impl_->info; }

Result<Model> Model::load(const std::filesystem::path& folder, const LoadOptions& options) {
  return build([&] { return read_network(folder); }, options);
}

Result<Model> Model::random(std::string_view architecture, const LoadOptions& options) {
  return build([&] { return random_network(architecture); }, options);
}

}  // namespace vitrail
