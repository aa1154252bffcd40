// ViT-MAE's masking, decoder and pixels against transformers' ViTMAEForPreTraining (tests/goldens/mae).
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "tests/support/allocations.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/platforms.hpp"
#include "vitrail/vitrail.hpp"

using namespace vitrail;
using namespace vitrail::test;
namespace fs = std::filesystem;

namespace {

constexpr std::pair<int, int> kSizes[] = {{48, 48}, {24, 32}, {40, 56}, {16, 16}};
const char* const kCases[] = {"plain", "norm_pix"};

std::string size_name(int height, int width) { return std::to_string(height) + "x" + std::to_string(width); }

Model load(const fs::path& folder, DType dtype) {
  LoadOptions options;
  options.dtype = dtype;
  auto model = Model::load(folder, options);
  if (!model) FAIL(model.error().message);
  return *model;
}

Session make(const Model& model, int height, int width, SessionOptions options = {}) {
  options.image_height = height;
  options.image_width = width;
  options.reconstruct = true;
  auto session = model.session(options);
  if (!session) FAIL(session.error().message);
  return *std::move(session);
}

std::vector<float> golden_noise(std::size_t count) {
  const TestTensor noise = golden_tensor("noise", {static_cast<std::int64_t>(count)}, "token", 1);
  std::vector<float> values(count);
  std::memcpy(values.data(), noise.bytes.data(), count * sizeof(float));
  return values;
}

struct Input {
  Input(int height, int width)
      : bytes(golden_picture("mixed", width, height, 3)),
        view{bytes.data(), width, height, 3 * width, PixelFormat::rgb8} {}
  std::vector<std::uint8_t> bytes;
  ImageView view;
};

std::string message(const fs::path& source, const std::function<void(nlohmann::json&)>& change) {
  const GoldenModel golden(source);
  auto config = nlohmann::json::parse(read_file(golden.folder() / "config.json"));
  change(config);
  write_file(golden.folder() / "config.json", config.dump());
  auto model = Model::load(golden.folder());
  REQUIRE_FALSE(model);
  return model.error().message;
}

}  // namespace

TEST_CASE("masks, predicted patches and pixels equal transformers'") {
  for (const char* name : kCases)
    for (const auto& [height, width] : kSizes) {
      CAPTURE(name);
      CAPTURE(height);
      CAPTURE(width);
      const GoldenModel golden(goldens() / "mae" / name);
      const std::string size = size_name(height, width);
      const auto mask = golden.expected<std::uint8_t>("mask_" + size).values;
      const auto logits = golden.expected("logits_" + size).values;
      const auto pixels = golden.expected<std::uint8_t>("pixels_" + size).values;
      const Input picture(height, width);
      for (const DType dtype : {DType::f32, DType::int8}) {
        const Model model = load(golden.folder(), dtype);
        CHECK(model.info().has_decoder);
        const auto masking = random_masking(golden_noise(mask.size()), model.info().mask_ratio).value();
        CHECK(masking.mask == mask);
        CHECK(masking.ids_restore == golden.expected<int>("ids_restore_" + size).values);

        Session session = make(model, height, width);
        const Reconstruction out = session.reconstruct(picture.view, mask).value();
        CHECK(out.num_visible == std::count(mask.begin(), mask.end(), 0));
        REQUIRE(out.logits.size() == logits.size());
        const std::size_t patch = 8 * 8 * 3;
        for (std::size_t i = 0; i < mask.size(); ++i) {
          double ab = 0, aa = 0, bb = 0, largest = 0;
          for (std::size_t k = i * patch; k < (i + 1) * patch; ++k) {
            const double a = out.logits[k], b = logits[k];
            ab += a * b;
            aa += a * a;
            bb += b * b;
            largest = std::max(largest, std::fabs(a - b));
          }
          if (dtype == DType::f32)
            CHECK(largest <= 1e-4);
          else
            CHECK(ab / std::sqrt(aa * bb) >= 0.999);
        }
        REQUIRE(out.predicted.size() == pixels.size());
        int largest = 0, sum = 0, differs = 0;
        for (std::size_t i = 0; i < pixels.size(); ++i) {
          const int difference = std::abs(out.predicted[i] - pixels[i]);
          largest = std::max(largest, difference);
          sum += difference;
          const std::size_t at = i / 3, y = at / static_cast<std::size_t>(width),
                            x = at % static_cast<std::size_t>(width);
          const bool hidden = mask[y / 8 * static_cast<std::size_t>(width / 8) + x / 8] != 0;
          differs += out.whole[i] != (hidden ? out.predicted[i] : picture.bytes[i]);
        }
        if (dtype == DType::f32)
          CHECK(largest <= 1);  // a value may lie on the border between two
        else
          CHECK(sum <= 2 * static_cast<int>(pixels.size()));
        CHECK(differs == 0);
      }
    }
}

TEST_CASE("int8 predictions have the same bits on every class of CPU and number of threads; run() is not disturbed") {
  const GoldenModel golden(goldens() / "mae" / "norm_pix");
  const Input picture(40, 56);
  const auto mask = random_masking(golden_noise(35), 0.5).value().mask;
  std::vector<float> first, tokens;
  for (const auto& platform : platforms())
    for (const int threads : {1, 2}) {
      CAPTURE(platform.name);
      const CpuLimit limit(platform.name);
      const Model model = load(golden.folder(), DType::int8);
      Session session = make(model, 40, 56, {.threads = threads, .any_size = true});
      const auto out = session.reconstruct(picture.view, mask).value();
      if (first.empty()) first.assign(out.logits.begin(), out.logits.end());
      CHECK(std::memcmp(first.data(), out.logits.data(), out.logits.size_bytes()) == 0);
      const auto run = session.run(picture.view).value();
      if (tokens.empty()) tokens.assign(run.tokens.begin(), run.tokens.end());
      CHECK(std::memcmp(tokens.data(), run.tokens.data(), run.tokens.size_bytes()) == 0);
      const auto before = allocations();
      const bool good = session.reconstruct(picture.view, mask) && session.run(picture.view);
      CHECK(allocations() == before);
      CHECK(good);
    }
}

TEST_CASE("a decoder's pixels of a new size need no new choice of kernels") {
  const GoldenModel golden(goldens() / "families" / "mae_with_decoder");
  const Model model = load(golden.folder(), DType::int8);
  const int unit = model.info().patch_height;
  Session session = make(model, 4 * unit, 4 * unit, {.any_size = true});
  const CpuLimit later("pentium");
  const Input picture(2 * unit, 3 * unit);
  CHECK(session.reconstruct(picture.view, std::vector<std::uint8_t>(6, 1)));
}

TEST_CASE("nothing or everything hidden") {
  const GoldenModel golden(goldens() / "mae" / "plain");
  const Model model = load(golden.folder(), DType::int8);
  Session session = make(model, 24, 32);
  const Input picture(24, 32);
  const auto shown = session.reconstruct(picture.view, std::vector<std::uint8_t>(12, 0)).value();
  CHECK(shown.num_visible == 12);
  CHECK(std::equal(shown.whole.begin(), shown.whole.end(), picture.bytes.begin()));
  const auto hidden = session.reconstruct(picture.view, std::vector<std::uint8_t>(12, 1)).value();
  CHECK(hidden.num_visible == 0);
  CHECK(std::equal(hidden.whole.begin(), hidden.whole.end(), hidden.predicted.begin()));
  for (const float x : hidden.logits) CHECK(std::isfinite(x));
}

TEST_CASE(
    "masks of the wrong length, noise that is none, and decoders that contradict their configuration are refused") {
  const fs::path source = goldens() / "mae" / "plain";
  const GoldenModel golden(source);
  const Model model = load(golden.folder(), DType::int8);
  Session session = make(model, 24, 32);
  const Input picture(24, 32);
  for (const std::size_t length : {0, 11, 13, 36}) {
    const auto out = session.reconstruct(picture.view, std::vector<std::uint8_t>(length, 1));
    REQUIRE_FALSE(out);
    CHECK(out.error().message == "mask: found " + std::to_string(length) + " patches, expected 12 (3 × 4)");
  }
  for (const double ratio : {-0.1, 1.1, std::nan("")}) CHECK_FALSE(random_masking(golden_noise(4), ratio));
  const float bad[] = {0, std::nanf(""), 1};
  CHECK(random_masking(bad, 0.5).error().message == "noise: element 1 is NaN");
  const float equal[] = {1, 0, 1, 0};
  CHECK(random_masking(equal, 0.25).value().ids_restore == std::vector<int>{2, 0, 3, 1});

  const auto says = [&](const char* key, const nlohmann::json& value, const char* text) {
    const std::string found = message(source, [&](nlohmann::json& config) { config[key] = value; });
    CAPTURE(key);
    CAPTURE(found);
    CHECK(found.find(text) != std::string::npos);
  };
  says("decoder_hidden_size", 60, "decoder.decoder_embed.weight");
  says("decoder_num_attention_heads", 5, "decoder_hidden_size");
  says("decoder_num_hidden_layers", 3, "decoder.decoder_layers.2.");
  says("decoder_num_hidden_layers", 1, "has no place");
  says("decoder_intermediate_size", 40, "decoder.decoder_layers.0.");
  says("mask_ratio", 1.5, "mask_ratio");
  says("norm_pix_loss", "yes", "norm_pix_loss");
  const std::string one_sample = message(source, [](nlohmann::json& config) {
    config.update({{"norm_pix_loss", true}, {"patch_size", 1}, {"num_channels", 1}, {"image_size", 16}});
  });
  CAPTURE(one_sample);
  CHECK(one_sample.find("\"norm_pix_loss\": found true, expected false: patches of one sample have no deviation") !=
        std::string::npos);
}
