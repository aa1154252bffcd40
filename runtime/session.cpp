#include "vitrail/session.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <new>
#include <numeric>
#include <system_error>

#include "runtime/model_impl.hpp"
#include "runtime/pixel_rows.hpp"
#include "runtime/vit.hpp"

namespace vitrail {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds(Clock::duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

Error out_of_range(const char* name, int found, const char* expected) {
  return {ErrorCode::invalid_argument,
          std::string("SessionOptions::") + name + ": found " + std::to_string(found) + ", expected " + expected};
}

std::string name_of(DType dtype) { return dtype == DType::int8 ? "int8" : "f32"; }

std::string size_text(int height, int width) { return std::to_string(height) + " × " + std::to_string(width); }

}  // namespace

struct Session::Impl {
  Impl(Model model, Plan session_plan, Selection selection, const SessionOptions& options)
      : model(std::move(model)),
        weights(this->model.impl().weights),
        plan(std::move(session_plan)),
        max_batch(options.max_batch),
        engine(std::move(selection), options.executor, options.threads, plan.config,
               weights.dtype == DType::f32 ? DType::f32 : options.attention) {
    const VitConfig& c = plan.config;
    const auto place = [&](std::byte* base) {
      Layout layout(base);
      state = State::place(layout, engine, weights, plan.config, max_batch, options.keep_patch_embed,
                           options.keep_hidden_states);
      return layout.size_bytes();
    };
    if (options.profile)
      engine.keep_profile(static_cast<std::size_t>(max_batch + 8) * static_cast<std::size_t>(c.num_layers + 3));
    arena_bytes = place(nullptr);
    arena = allocate_aligned(arena_bytes);
    place(arena.get());
    for (int b = 0; b < max_batch; ++b) preprocessors.emplace_back(c.preprocess, c.channels);
    pixels.resize(static_cast<std::size_t>(max_batch));
    converted.resize(static_cast<std::size_t>(max_batch));
    info = make_info(weights, c);
    prepare();
  }

  /// Every shape of product that a batch of 1 … max_batch pictures will need.
  void prepare() {
    const VitConfig& c = plan.config;
    engine.prepare(weights.patch, c.num_patches());
    for (int b = 1; b <= max_batch; ++b) {
      for (const auto* l :
           {&weights.blocks[0].qkv, &weights.blocks[0].proj, &weights.blocks[0].fc1, &weights.blocks[0].fc2})
        engine.prepare(*l, b * c.num_tokens());
      for (const auto* l : {&weights.pooler, &weights.projection, &weights.head, &weights.head_dist})
        if (*l) engine.prepare(**l, b);
      if (const auto& pool = weights.attention_pool) {
        engine.prepare(pool->key_value, b * c.num_tokens());
        for (const auto* l : {&pool->proj, &pool->fc1, &pool->fc2}) engine.prepare(*l, b);
      }
    }
  }

  Result<Pixels> network_pixels(const ImageView& image, std::size_t b);
  Output output(std::size_t batch) const;

  Model model;
  const Weights& weights;
  Plan plan;
  ModelInfo info;
  int max_batch;
  Engine engine;
  AlignedBytes arena;
  std::size_t arena_bytes = 0;
  State state;
  std::vector<Preprocessor> preprocessors;  ///< one per picture of a batch: each keeps its result until the run is over
  std::vector<Pixels> pixels;
  std::vector<std::vector<std::uint8_t>> converted;  ///< pictures of the network's size in another pixel format
  Timing timing;
};

/// The picture as u8 [image_height, image_width, channels]: as it is, reordered, or resized and cropped.
Result<Pixels> Session::Impl::network_pixels(const ImageView& image, std::size_t b) {
  const VitConfig& c = plan.config;
  if (auto status = check(image); !status) return status.error();
  const PixelFormat wanted = c.channels == 1 ? PixelFormat::gray8 : PixelFormat::rgb8;
  ImageView view = image;
  if (view.width != c.image_width || view.height != c.image_height) {
    auto processed = preprocessors[b].run(image);
    if (!processed) return processed.error();
    view = *processed;
    if (view.width != c.image_width || view.height != c.image_height)
      return Error{ErrorCode::invalid_argument, "image: found " + size_text(view.height, view.width) +
                                                    " pixels after preprocessing, expected " +
                                                    size_text(c.image_height, c.image_width)};
  }
  if (view.format == wanted) return Pixels{view.data, view.stride_bytes};
  auto& buffer = converted[b];
  const std::size_t row_bytes = static_cast<std::size_t>(c.image_width) * static_cast<std::size_t>(c.channels);
  buffer.resize(row_bytes * static_cast<std::size_t>(c.image_height));  // allocates the first time only
  for (int y = 0; y < view.height; ++y)
    convert_row(view.row(y), view.format, buffer.data() + static_cast<std::size_t>(y) * row_bytes, wanted, view.width);
  return Pixels{buffer.data(), static_cast<std::ptrdiff_t>(row_bytes)};
}

Output Session::Impl::output(std::size_t batch) const {
  const VitConfig& c = plan.config;
  const auto D = static_cast<std::size_t>(c.embed_dim), T = static_cast<std::size_t>(c.num_tokens());
  const auto L = static_cast<std::size_t>(c.num_layers), N = static_cast<std::size_t>(c.num_patches());
  Output out;
  if (weights.head) out.logits = {state.logits, batch * static_cast<std::size_t>(c.num_labels)};
  out.tokens = {state.tokens, batch * T * D};
  if (c.has_cls) out.cls = {state.cls, batch * D};
  if (c.registers > 0) out.registers = {state.registers, batch * static_cast<std::size_t>(c.registers) * D};
  out.pooled = {state.pooled, batch * D};
  if (weights.projection) out.image_embeds = {state.image_embeds, batch * static_cast<std::size_t>(c.projection_dim)};
  out.num_tokens = c.num_tokens();
  out.grid_rows = c.grid_rows();
  out.grid_columns = c.grid_columns();
  if (state.patch_embed) out.patch_embed = {state.patch_embed, batch * N * D};
  if (state.hidden_states) out.hidden_states = {state.hidden_states, (L + 1) * batch * T * D};
  return out;
}

Session::Session(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Result<Session> Model::session() const { return session(SessionOptions{}); }

Result<Session> Model::session(const SessionOptions& options) const try {
  const int threads = options.executor ? options.executor->threads() : options.threads;
  if (threads < 1 || threads > 256)
    return out_of_range(options.executor ? "executor->threads()" : "threads", threads, "1 … 256");
  if (options.max_batch < 1 || options.max_batch > 1024)
    return out_of_range("max_batch", options.max_batch, "1 … 1024");
  auto selection = select_kernels(threads);
  if (!selection) return selection.error();
  if (selection->kernels.layout_s8 != impl_->weights.layout)
    return Error{ErrorCode::invalid_argument,
                 std::string("VITRAIL_CPU: found a limit to '") + selection->kernels.gemm_name +
                     "', expected the one under which the model was loaded: its weights lie as '" +
                     impl_->weights.gemm_name + "' reads them"};
  auto plan = make_plan(impl_->weights, options.image_height, options.image_width);
  if (!plan) return plan.error();
  return Session(std::make_unique<Session::Impl>(*this, std::move(*plan), std::move(*selection), options));
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::out_of_memory, "making a session: out of memory"};
} catch (const std::system_error& error) {
  return Error{ErrorCode::out_of_memory, std::string("making a session: cannot start its threads: ") + error.what()};
}

Result<Output> Session::run(const ImageView& image) noexcept { return run(std::span(&image, 1)); }

Result<Output> Session::run(std::span<const ImageView> images) noexcept try {
  Impl& s = *impl_;
  if (images.empty() || images.size() > static_cast<std::size_t>(s.max_batch))
    return Error{ErrorCode::invalid_argument, "images: found " + std::to_string(images.size()) + ", expected 1 … " +
                                                  std::to_string(s.max_batch) + " (SessionOptions::max_batch)"};
  const auto start = Clock::now();
  for (std::size_t b = 0; b < images.size(); ++b) {
    auto pixels = s.network_pixels(images[b], b);
    if (!pixels) return pixels.error();
    s.pixels[b] = *pixels;
  }
  const auto ready = Clock::now();
  s.engine.profile().start();
  forward(s.engine, s.weights, s.plan, s.state, std::span(s.pixels).first(images.size()));
  s.timing = {milliseconds(ready - start), milliseconds(Clock::now() - ready)};
  return s.output(images.size());
} catch (...) {
  return Error{ErrorCode::out_of_memory, {}};
}

const ModelInfo& Session::info() const noexcept { return impl_->info; }

const Timing& Session::timing() const noexcept { return impl_->timing; }

std::span<const Operation> Session::profile() const noexcept { return impl_->engine.profile().operations(); }

double Session::peak_gmacs_per_s() noexcept { return impl_->engine.peak_gmacs_per_s(impl_->weights.dtype); }

std::string Session::describe() const {
  return impl_->engine.report() + "dtype: " + name_of(impl_->weights.dtype) + ", attention " +
         name_of(impl_->engine.attention_dtype()) + "\nactivations: " + std::to_string(impl_->arena_bytes) + " bytes\n";
}

std::size_t Session::memory_bytes() const noexcept { return impl_->arena_bytes + impl_->engine.scratch_bytes(); }

std::vector<Prediction> top_k(std::span<const float> logits, int k) {
  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto count = std::min(order.size(), static_cast<std::size_t>(std::max(k, 0)));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(), [&](int a, int b) {
    const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  });
  if (count == 0) return {};
  const double top = logits[static_cast<std::size_t>(order[0])];
  double sum = 0;
  for (const float x : logits) sum += std::exp(x - top);
  std::vector<Prediction> best;
  for (std::size_t i = 0; i < count; ++i)
    best.push_back({order[i], static_cast<float>(std::exp(logits[static_cast<std::size_t>(order[i])] - top) / sum)});
  return best;
}

}  // namespace vitrail
