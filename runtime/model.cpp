#include <new>
#include <system_error>

#include "runtime/model/network.hpp"
#include "runtime/model_impl.hpp"

namespace vitrail {
namespace {

/// Multiply-accumulates of one picture: patch embedding, blocks (linear layers and both attention products), heads.
std::uint64_t count_macs(const Weights& w, const VitConfig& c) {
  const auto T = static_cast<std::uint64_t>(c.num_tokens()), N = static_cast<std::uint64_t>(c.num_patches());
  const auto of = [](const Linear& l) { return static_cast<std::uint64_t>(l.in) * static_cast<std::uint64_t>(l.out); };
  std::uint64_t macs = N * of(w.patch);
  for (const Block& b : w.blocks)
    macs += T * (of(b.qkv) + of(b.proj) + of(b.fc1) + of(b.fc2)) + 2 * T * T * static_cast<std::uint64_t>(c.embed_dim);
  for (const auto* head : {&w.pooler, &w.projection, &w.head, &w.head_dist})
    if (*head) macs += of(**head);
  if (const auto& p = w.attention_pool)
    macs +=
        T * of(p->key_value) + 2 * T * static_cast<std::uint64_t>(c.embed_dim) + of(p->proj) + of(p->fc1) + of(p->fc2);
  return macs;
}

}  // namespace

ModelInfo make_info(const Weights& w, const VitConfig& c) {
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
  info.macs = count_macs(w, c);
  info.weights_bytes = w.storage.bytes();
  info.labels = c.labels;
  info.preprocess = c.preprocess;
  return info;
}

namespace {

/// Reading and packing, with everything the standard library may throw turned into an Error.
template <class Read>
Result<Model> build(const Read& read, const LoadOptions& options) try {
  if (options.threads < 1 || options.threads > 256)
    return Error{ErrorCode::invalid_argument,
                 "LoadOptions::threads: found " + std::to_string(options.threads) + ", expected 1 … 256"};
  auto source = read();
  if (!source) return source.error();
  auto weights = pack_weights(*source, options);
  if (!weights) return weights.error();
  auto impl = std::make_shared<Model::Impl>();
  impl->weights = std::move(*weights);
  impl->info = make_info(impl->weights, impl->weights.config);
  return Model(std::move(impl));
} catch (const std::bad_alloc&) {
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
