#include "vitrail/session.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <system_error>

#include "runtime/argument_error.hpp"
#include "runtime/mae.hpp"
#include "runtime/model_impl.hpp"
#include "runtime/pictures.hpp"
#include "runtime/vit.hpp"

namespace vitrail {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double max_maps_bytes = 64e9;

double milliseconds(Clock::duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

Error bad_option(const std::string& name, int found, const std::string& expected) {
  return argument_error("SessionOptions::" + name, std::to_string(found), expected);
}

std::string name_of(DType dtype) { return dtype == DType::int8 ? "int8" : "f32"; }

}  // namespace

struct Session::Impl {
  Impl(Model model, Plan largest, Selection selection, const SessionOptions& options)
      : model(std::move(model)),
        weights(this->model.impl().weights),
        max_batch(options.max_batch),
        any_size(options.any_size),
        request{options.outputs, {}, {}, options.norm_layers, options.reconstruct},
        layers(options.layers),
        attention_layers(options.attention_layers),
        engine(std::move(selection), options.executor, options.threads, extent_of(largest),
               // The scores of a network with a relative bias exist in f32 only.
               weights.dtype == DType::f32 || !largest.biases.empty() ? DType::f32 : options.attention),
        pictures(largest.config.preprocess, largest.config.channels, options.max_batch, engine.kernels(),
                 options.always_preprocess) {
    const VitConfig& c = largest.config;
    request.attention = engine.attention_dtype();
    if (!layers.empty()) request.outputs = request.outputs | Outputs::intermediate_layers;
    if (request.wants(Outputs::attentions) && attention_layers.empty()) {
      attention_layers.resize(static_cast<std::size_t>(c.num_layers));
      std::iota(attention_layers.begin(), attention_layers.end(), 0);
    }
    if (!attention_layers.empty()) request.outputs = request.outputs | Outputs::attentions;
    request = part(request.outputs);
    info = make_info(weights, c, request);
    const auto place = [&](std::byte* base) {
      Layout layout(base);
      state = State::place(layout, engine, weights, largest, max_batch, request);
      return layout.size_bytes();
    };
    if (options.profile) {
      const int layers = c.num_layers + (c.decoder ? c.decoder->num_layers : 0);
      engine.keep_profile(static_cast<std::size_t>(12 * max_batch) * static_cast<std::size_t>(layers + 3));
    }
    arena_bytes = place(nullptr);
    arena = allocate_aligned(arena_bytes);
    place(arena.get());
    plans.reserve(1 + max_other_plans);
    plans.push_back(std::move(largest));
    plan = &plans[0];
    prepare();
  }

  /// Every shape of product that groups of pictures of the plan's size will need.
  void prepare() {
    const VitConfig& c = plan->config;
    const Block& block = weights.blocks[0];
    engine.prepare(weights.patch, c.num_patches());
    const int last_rows = request.last_rows(weights, c.num_tokens());
    if (last_rows > 0) engine.prepare(block.queries(), last_rows);
    if (const Linear* keys = request.class_keys(weights, c.num_tokens())) {
      const int rows = std::min(last_rows, c.class_tokens());
      engine.prepare(block.queries(), rows);
      engine.prepare(*keys, rows * c.num_heads);
      engine.prepare(block.values(), rows * c.num_heads);
    }
    for (int b = 1; b <= group_size(max_batch, engine.threads()); ++b) {
      for (const auto* l : {&block.qkv, &block.proj, &block.fc1, &block.fc2}) engine.prepare(*l, b * c.num_tokens());
      for (const auto* l : {&block.proj, &block.fc1, &block.fc2})
        if (last_rows > 0) engine.prepare(*l, b * last_rows);
      if (last_rows > 0) engine.prepare(block.keys_values(), b * c.num_tokens());
      for (const auto* l : {&weights.pooler, &weights.projection, &weights.head, &weights.head_dist})
        if (*l) engine.prepare(**l, b);
      if (const auto& pool = weights.attention_pool) {
        engine.prepare(pool->key_value, b * c.num_tokens());
        for (const auto* l : {&pool->proj, &pool->fc1, &pool->fc2}) engine.prepare(*l, b);
      }
    }
    if (!request.reconstruct) return;
    const Decoder& decoder = *weights.decoder;
    for (const auto* l :
         {&decoder.blocks[0].qkv, &decoder.blocks[0].proj, &decoder.blocks[0].fc1, &decoder.blocks[0].fc2})
      engine.prepare(*l, c.num_tokens());
    engine.prepare(decoder.pixels, c.num_patches());
  }

  /// The request of a run for some of the outputs.
  Request part(Outputs outputs) const {
    Request r = request;
    r.outputs = outputs;
    r.layers = has(outputs, Outputs::intermediate_layers) ? layers : std::span<const int>();
    r.attention_layers = has(outputs, Outputs::attentions) ? attention_layers : std::span<const int>();
    return r;
  }

  Status choose_plan(int height, int width);
  Status prepare_pictures(std::span<const ImageView> images);
  Status prepare_picture(RowSource& picture);
  Result<Output> forward(std::size_t batch, Outputs outputs, Clock::time_point start);
  Output output(const Request& r, std::size_t batch) const;

  static constexpr std::size_t max_other_plans = 16;

  Model model;
  const Weights& weights;
  int max_batch;
  bool any_size;
  Request request;  ///< of all that there is memory for
  std::vector<int> layers, attention_layers;
  ModelInfo info;
  Engine engine;
  std::vector<Plan> plans;     ///< the largest size's, and with any_size the last ones seen, the latest at the end
  const Plan* plan = nullptr;  ///< of this run
  AlignedBytes arena;
  std::size_t arena_bytes = 0;
  State state;
  Pictures pictures;
  Timing timing;
};

/// any_size: the plan of the pictures' own size, made when it is seen for the first time.
Status Session::Impl::choose_plan(int height, int width) {
  if (height == plan->config.image_height && width == plan->config.image_width) return {};
  const auto known = std::find_if(plans.begin() + 1, plans.end(), [&](const Plan& p) {
    return p.config.image_height == height && p.config.image_width == width;
  });
  if (height == info.image_height && width == info.image_width) {
    plan = &plans[0];
  } else if (known != plans.end()) {
    std::rotate(known, known + 1, plans.end());
    plan = &plans.back();
  } else {
    if (height < 1 || width < 1 || height > info.image_height || width > info.image_width)
      return argument_error(
          "image", size_text(height, width) + " pixels",
          "at most " + size_text(info.image_height, info.image_width) + " (SessionOptions::image_height, image_width)");
    auto made = make_plan(weights, engine.kernels(), height, width, "image");
    if (!made) return made.error();
    if (plans.size() == 1 + max_other_plans) plans.erase(plans.begin() + 1);
    plans.push_back(std::move(*made));
    plan = &plans.back();
    prepare();
  }
  return {};
}

Status Session::Impl::prepare_pictures(std::span<const ImageView> images) {
  if (any_size) {
    const int height = images[0].height, width = images[0].width;
    for (const ImageView& image : images)
      if (image.height != height || image.width != width)
        return argument_error("images",
                              size_text(image.height, image.width) + " pixels after " + size_text(height, width),
                              "pictures of one size (SessionOptions::any_size)");
    if (auto status = choose_plan(height, width); !status) return status;
  }
  for (std::size_t b = 0; b < images.size(); ++b)
    if (auto status = pictures.take(plan->config, images[b], b); !status) return status;
  return {};
}

Status Session::Impl::prepare_picture(RowSource& picture) {
  if (any_size)
    if (auto status = choose_plan(picture.height(), picture.width()); !status) return status;
  return pictures.take(plan->config, picture);
}

Result<Output> Session::Impl::forward(std::size_t batch, Outputs outputs, Clock::time_point start) {
  const Request wanted = part(outputs);
  const auto ready = Clock::now();
  engine.profile().start();
  vitrail::forward(engine, weights, *plan, state, pictures.first(batch), wanted);
  timing = {milliseconds(ready - start), milliseconds(Clock::now() - ready)};
  return output(wanted, batch);
}

Output Session::Impl::output(const Request& r, std::size_t batch) const {
  const VitConfig& c = plan->config;
  const auto D = static_cast<std::size_t>(c.embed_dim), T = static_cast<std::size_t>(c.num_tokens());
  const auto L = static_cast<std::size_t>(c.num_layers), N = static_cast<std::size_t>(c.num_patches());
  const auto heads = static_cast<std::size_t>(c.num_heads), registers = static_cast<std::size_t>(c.registers);
  Output out;
  const auto give = [&](Outputs what, const float* data, std::size_t size) {
    return r.wants(what) && size > 0 ? std::span(data, size) : std::span<const float>();
  };
  if (weights.head) out.logits = give(Outputs::logits, state.logits, batch * static_cast<std::size_t>(c.num_labels));
  if (c.has_cls) out.cls = give(Outputs::cls, state.cls, batch * D);
  if (weights.projection)
    out.image_embeds =
        give(Outputs::image_embeds, state.image_embeds, batch * static_cast<std::size_t>(c.projection_dim));
  out.tokens = give(Outputs::tokens, state.x, batch * T * D);
  out.registers = give(Outputs::registers, state.registers, batch * registers * D);
  out.pooled = give(Outputs::pooled, state.pooled, batch * D);
  out.patch_embed = give(Outputs::patch_embed, state.patch_embed, batch * N * D);
  out.hidden_states = give(Outputs::hidden_states, state.hidden_states, (L + 1) * batch * T * D);
  out.intermediate_layers = give(Outputs::intermediate_layers, state.layers, r.layers.size() * batch * T * D);
  out.attentions = give(Outputs::attentions, state.attentions, r.attention_layers.size() * batch * heads * T * T);
  out.embed_dim = c.embed_dim;
  out.num_tokens = c.num_tokens();
  out.num_prefix = c.prefix_tokens();
  out.grid_rows = c.grid_rows();
  out.grid_columns = c.grid_columns();
  return out;
}

std::span<const float> Output::patch_tokens(std::span<const float> all, int b) const noexcept {
  const auto D = static_cast<std::size_t>(embed_dim), T = static_cast<std::size_t>(num_tokens);
  const std::size_t first = (static_cast<std::size_t>(b) * T + static_cast<std::size_t>(num_prefix)) * D;
  const std::size_t size = static_cast<std::size_t>(grid_rows) * static_cast<std::size_t>(grid_columns) * D;
  return b >= 0 && first + size <= all.size() ? all.subspan(first, size) : std::span<const float>();
}

Session::Session(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

namespace {

/// Blocks that a request names: each there, and once.
Status check_blocks(const char* name, const std::vector<int>& blocks, int count) {
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (blocks[i] < 0 || blocks[i] >= count) return bad_option(name, blocks[i], "0 to " + std::to_string(count - 1));
    if (std::find(blocks.begin(), blocks.begin() + static_cast<std::ptrdiff_t>(i), blocks[i]) !=
        blocks.begin() + static_cast<std::ptrdiff_t>(i))
      return bad_option(name, blocks[i], "each block once");
  }
  return {};
}

/// What the outputs a session is asked for may not be, for a network and a size.
Status check_outputs(const SessionOptions& o, const Weights& w, const VitConfig& c) {
  constexpr Outputs known = Outputs::standard | Outputs::patch_embed | Outputs::hidden_states |
                            Outputs::intermediate_layers | Outputs::attentions;
  if (const Outputs all = o.outputs | known; all != known)
    return argument_error("SessionOptions::outputs", std::to_string(static_cast<std::uint32_t>(o.outputs)),
                          "values of Outputs, joined with |");
  if (auto status = check_blocks("layers", o.layers, c.num_layers); !status) return status;
  if (auto status = check_blocks("attention_layers", o.attention_layers, c.num_layers); !status) return status;
  if (has(o.outputs, Outputs::intermediate_layers) && o.layers.empty())
    return argument_error("SessionOptions::layers", "none",
                          "the blocks of Outputs::intermediate_layers, 0 to " + std::to_string(c.num_layers - 1));
  if (o.reconstruct && !w.decoder)
    return Error{ErrorCode::unsupported, "SessionOptions::reconstruct: the network (" + c.family +
                                             ") has no decoder, expected a vit_mae with one"};
  const double maps = has(o.outputs, Outputs::attentions) || !o.attention_layers.empty()
                          ? static_cast<double>(o.attention_layers.empty() ? static_cast<std::size_t>(c.num_layers)
                                                                           : o.attention_layers.size())
                          : 0;
  const double tokens = c.num_tokens(), bytes = maps * o.max_batch * c.num_heads * tokens * tokens * sizeof(float);
  if (bytes > max_maps_bytes)
    return Error{ErrorCode::invalid_argument, "SessionOptions::attention_layers: their maps would take " +
                                                  std::to_string(bytes * 1e-9) + " GB, expected at most " +
                                                  std::to_string(max_maps_bytes * 1e-9) + "; ask for fewer layers"};
  return {};
}

}  // namespace

Result<Session> Model::session() const { return session(SessionOptions{}); }

Result<Session> Model::session(const SessionOptions& options) const try {
  const int threads = options.executor ? options.executor->threads() : options.threads;
  if (threads < 1 || threads > 256)
    return bad_option(options.executor ? "executor->threads()" : "threads", threads, "1 to 256");
  if (Status s = check_dtype("SessionOptions::attention", options.attention); !s) return s.error();
  if (options.max_batch < 1 || options.max_batch > 1024) return bad_option("max_batch", options.max_batch, "1 to 1024");
  if (options.any_size && options.always_preprocess)
    return argument_error("SessionOptions::always_preprocess", "true beside any_size, which takes pictures as they are",
                          "one of the two");
  auto selection = select_kernels(threads);
  if (!selection) return selection.error();
  if (selection->kernels.layout_s8 != impl_->weights.layout)
    return Error{ErrorCode::invalid_argument,
                 std::string("VITRAIL_CPU, VITRAIL_ONEDNN: found settings that choose '") +
                     selection->kernels.gemm_name +
                     "', expected those under which the model was loaded: its weights lie as '" +
                     impl_->weights.gemm_name + "' reads them"};
  auto plan = make_plan(impl_->weights, selection->kernels, options.image_height, options.image_width);
  if (!plan) return plan.error();
  if (auto status = check_outputs(options, impl_->weights, plan->config); !status) return status.error();
  return Session(std::make_unique<Session::Impl>(*this, std::move(*plan), std::move(*selection), options));
} catch (const std::system_error& error) {
  return Error{ErrorCode::out_of_memory, std::string("making a session: cannot start its threads: ") + error.what()};
} catch (...) {
  return Error{ErrorCode::out_of_memory, "making a session: out of memory"};
}

Result<Output> Session::run(const ImageView& image) noexcept { return run(std::span(&image, 1)); }

Result<Output> Session::run(RowSource& picture) noexcept try {
  const auto start = Clock::now();
  if (auto status = impl_->prepare_picture(picture); !status) return status.error();
  return impl_->forward(1, impl_->request.outputs, start);
} catch (...) {
  return caught();
}

Result<Output> Session::run(std::span<const ImageView> images) noexcept { return run(images, impl_->request.outputs); }

Result<Output> Session::run(std::span<const ImageView> images, Outputs outputs) noexcept try {
  Impl& s = *impl_;
  if (images.empty() || images.size() > static_cast<std::size_t>(s.max_batch))
    return argument_error("images", std::to_string(images.size()),
                          "1 to " + std::to_string(s.max_batch) + " (SessionOptions::max_batch)");
  if ((outputs | s.request.outputs) != s.request.outputs)
    return argument_error("outputs", "one that SessionOptions::outputs does not have", "those there is memory for");
  const auto start = Clock::now();
  if (auto status = s.prepare_pictures(images); !status) return status.error();
  return s.forward(images.size(), outputs, start);
} catch (...) {
  return caught();
}

Result<Reconstruction> Session::reconstruct(const ImageView& image, std::span<const std::uint8_t> mask) noexcept try {
  Impl& s = *impl_;
  if (!s.request.reconstruct)
    return Error{ErrorCode::invalid_argument,
                 "reconstruct: the session has no memory for it, expected SessionOptions::reconstruct"};
  const auto start = Clock::now();
  if (auto status = s.prepare_pictures(std::span(&image, 1)); !status) return status.error();
  const VitConfig& c = s.plan->config;
  const auto N = static_cast<std::size_t>(c.num_patches()), size = N * static_cast<std::size_t>(c.patch_size());
  if (mask.size() != N)
    return argument_error("mask", std::to_string(mask.size()) + " patches",
                          std::to_string(N) + " (" + size_text(c.grid_rows(), c.grid_columns()) + ")");
  const auto ready = Clock::now();
  s.engine.profile().start();
  predict_patches(s.engine, s.weights, *s.plan, s.state, s.pictures.first(1)[0], mask.data());
  predicted_pixels(*s.plan, s.state, s.pictures.first(1)[0], mask.data());
  s.timing = {milliseconds(ready - start), milliseconds(Clock::now() - ready)};
  return Reconstruction{{s.state.predictions, size},
                        {s.state.predicted, size},
                        {s.state.whole, size},
                        c.image_height,
                        c.image_width,
                        c.channels,
                        static_cast<int>(std::count(mask.begin(), mask.end(), 0))};
} catch (...) {
  return caught();
}

const ModelInfo& Session::info() const noexcept { return impl_->info; }

const Timing& Session::timing() const noexcept { return impl_->timing; }

std::span<const Operation> Session::profile() const noexcept { return impl_->engine.profile().operations(); }

double Session::peak_gmacs_per_s() noexcept { return impl_->engine.peak_gmacs_per_s(impl_->weights.dtype); }

std::string Session::describe() const {
  return impl_->engine.report() + "dtype: " + name_of(impl_->weights.dtype) + ", attention " +
         name_of(impl_->engine.attention_dtype()) + "\nactivations: " + std::to_string(impl_->arena_bytes) + " bytes\n";
}

std::size_t Session::memory_bytes() const noexcept {
  std::size_t bytes = impl_->arena_bytes + impl_->engine.scratch_bytes() + impl_->pictures.memory_bytes();
  for (const Plan& plan : impl_->plans)
    bytes += plan.storage.bytes() + (plan.decoder ? plan.decoder->storage.bytes() : 0);
  return bytes;
}

}  // namespace vitrail
