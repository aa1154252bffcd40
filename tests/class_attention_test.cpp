// Class tokens of the last block (runtime/class_attention.cpp), in networks of common widths and two blocks: the same
// bits on every class of CPU, and close to f32 where a few channels are much larger than the others.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "runtime/model_impl.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/platforms.hpp"
#include "vitrail/vitrail.hpp"

using namespace vitrail;
using namespace vitrail::test;

namespace {

constexpr int kSide = 64;

struct Pictures {
  std::vector<std::uint8_t> a = golden_picture("mixed", kSide, kSide, 3, "a"),
                            b = golden_picture("mixed", kSide, kSide, 3, "b");
  std::vector<ImageView> views{view(a), view(b)};
  static ImageView view(const std::vector<std::uint8_t>& bytes) {
    return {bytes.data(), kSide, kSide, 3 * kSide, PixelFormat::rgb8};
  }
};

/// The first two blocks of a network with random weights.
NetworkSource two_blocks(const char* architecture) {
  auto source = random_network(architecture).value();
  source.blocks.resize(2);
  source.config.num_layers = 2;
  return source;
}

Model pack(const NetworkSource& source, DType dtype) {
  LoadOptions options;
  options.dtype = dtype;
  auto impl = std::make_shared<Model::Impl>();
  impl->weights = pack_weights(source, options).value();
  impl->info = make_info(impl->weights, impl->weights.config, {});
  return Model(impl);
}

struct Found {
  std::vector<float> logits, maps;  ///< maps [pictures, heads, T, T] of the last block
};

Found run(const Model& model, std::span<const ImageView> pictures, int threads) {
  Session session =
      model.session({.threads = threads, .max_batch = 2, .outputs = Outputs::logits, .attention_layers = {1}}).value();
  const Output out = session.run(pictures).value();
  return {{out.logits.begin(), out.logits.end()}, {out.attentions.begin(), out.attentions.end()}};
}

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// |a − b| over |b|.
double relative_error(std::span<const float> a, std::span<const float> b) {
  REQUIRE(a.size() == b.size());
  double difference = 0, length = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    length += b[i] * b[i];
  }
  return std::sqrt(difference / length);
}

}  // namespace

TEST_CASE("wide networks: the same logits and maps on every class of CPU, of one picture and of two") {
  const Pictures pictures;
  // 768: sums that f32 does not hold, and values in more than one tile. Distilled: two class tokens.
  for (const char* architecture : {"vit_base_patch16_64", "deit_small_distilled_patch16_64"}) {
    CAPTURE(architecture);
    const NetworkSource source = two_blocks(architecture);
    Found first;
    for (const auto& platform : platforms()) {
      CAPTURE(platform.name);
      const CpuLimit limit(platform.name);
      const Model model = pack(source, DType::int8);
      for (const int threads : {1, 2}) {
        const Found both = run(model, pictures.views, threads);
        if (first.logits.empty()) first = both;
        CHECK(same(both.logits, first.logits));
        CHECK(same(both.maps, first.maps));
      }
      const Found alone = run(model, std::span(pictures.views).first(1), 2);
      CHECK(same(alone.logits, {first.logits.begin(), first.logits.begin() + 1000}));
    }
  }
}

TEST_CASE("where heads are more than tokens, class tokens attend as all tokens do") {
  const Model model = pack(two_blocks("vit_base_patch16_64"), DType::int8);
  const Pictures pictures;
  Session session = model
                        .session({.image_height = kSide,
                                  .image_width = kSide,
                                  .any_size = true,
                                  .outputs = Outputs::logits,
                                  .profile = true})
                        .value();
  for (const int side : {kSide, 32}) {  // 17 and 5 tokens, 12 heads
    CAPTURE(side);
    ImageView picture = pictures.views[0];
    picture.width = picture.height = side;
    REQUIRE(session.run(picture));
    const auto operations = session.profile();
    const auto of_class = std::count_if(operations.begin(), operations.end(),
                                        [](const Operation& o) { return std::string_view(o.name) == "keys"; });
    CHECK(of_class == (side == kSide ? 1 : 0));
  }
}

TEST_CASE("attention of class tokens is close to f32, also where a few channels are many times as large") {
  const Pictures pictures;
  for (const auto& [outlier, bound] : {std::pair(1.0f, 0.03), {60.0f, 0.15}}) {
    CAPTURE(outlier);
    NetworkSource source = two_blocks("vit_small_patch16_64");
    TensorView& gamma = source.blocks[1].norm1.weight;
    std::vector<float> larger(static_cast<std::size_t>(gamma.elements()));
    to_f32(gamma, 0, gamma.elements(), larger.data());
    for (const std::size_t channel : {7u, 101u, 300u}) larger[channel] *= outlier;
    gamma.type = TensorView::Type::f32;
    gamma.data = reinterpret_cast<const std::byte*>(larger.data());

    const Found exact = run(pack(source, DType::f32), pictures.views, 1);
    const Found found = run(pack(source, DType::int8), pictures.views, 1);
    const std::size_t T = 17, map = T * T, heads = 6;
    double mean = 0;
    for (std::size_t h = 0; h < 2 * heads; ++h)
      mean += relative_error(std::span(found.maps).subspan(h * map, T), std::span(exact.maps).subspan(h * map, T)) /
              (2 * heads);
    CHECK(mean < bound);
  }
}
