// What a session gives: attention maps and intermediate layers against transformers (tests/goldens/outputs); that
// asking for less, at session or run time, changes no bit of what is left; sessions for any size; and what cannot be
// asked.
#include <doctest/doctest.h>

#include <cmath>
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

struct Input {
  Input(int height, int width, const char* name = "input")
      : bytes(golden_picture("mixed", width, height, 3, name)),
        view{bytes.data(), width, height, 3 * width, PixelFormat::rgb8} {}
  std::vector<std::uint8_t> bytes;
  ImageView view;
};

Model load(const fs::path& folder, DType dtype) {
  LoadOptions options;
  options.dtype = dtype;
  auto model = Model::load(folder, options);
  if (!model) FAIL(model.error().message);
  return *model;
}

Session make(const Model& model, const SessionOptions& options) {
  auto session = model.session(options);
  if (!session) FAIL(session.error().message);
  return *std::move(session);
}

std::string refused(const Model& model, const SessionOptions& options) {
  auto session = model.session(options);
  REQUIRE_FALSE(session);
  return session.error().message;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

bool same(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

double largest_difference(std::span<const float> a, std::span<const float> b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    REQUIRE(std::isfinite(a[i]));
    largest = std::max(largest, std::fabs(static_cast<double>(a[i]) - b[i]));
  }
  return largest;
}

double cosine(std::span<const float> a, std::span<const float> b) {
  REQUIRE(a.size() == b.size());
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

std::vector<int> all_blocks(const Model& model) {
  std::vector<int> blocks;
  for (int i = 0; i < model.info().num_layers; ++i) blocks.push_back(i);
  return blocks;
}

constexpr Outputs kEverything = Outputs::standard | Outputs::patch_embed | Outputs::hidden_states |
                                Outputs::intermediate_layers | Outputs::attentions;

/// Every output by its name.
std::vector<std::pair<Outputs, std::span<const float>>> parts(const Output& o) {
  return {{Outputs::logits, o.logits},
          {Outputs::cls, o.cls},
          {Outputs::pooled, o.pooled},
          {Outputs::image_embeds, o.image_embeds},
          {Outputs::tokens, o.tokens},
          {Outputs::registers, o.registers},
          {Outputs::patch_embed, o.patch_embed},
          {Outputs::hidden_states, o.hidden_states},
          {Outputs::intermediate_layers, o.intermediate_layers},
          {Outputs::attentions, o.attentions}};
}

/// Copies of all outputs of a run.
std::vector<std::vector<float>> copies(const Output& o) {
  std::vector<std::vector<float>> all;
  for (const auto& [what, values] : parts(o)) all.emplace_back(values.begin(), values.end());
  return all;
}

const char* const kCases[] = {"vit",    "dinov2",       "dinov2_swiglu", "dinov2_registers_labels", "dinov3", "clip",
                              "siglip", "ijepa_labels", "msn",           "mae_with_decoder"};

}  // namespace

TEST_CASE("f32: attention maps, hidden states and layers equal transformers' to 1e-4; int8 points the same way") {
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(goldens() / "outputs")) {
    const auto name = entry.path().filename().string();
    CAPTURE(name);
    ++count;
    const auto description = nlohmann::json::parse(read_file(entry.path() / "case.json"));
    const int height = description.at("height"), width = description.at("width");
    const GoldenModel golden(goldens() / "families" / name);
    const auto expected = [&](const char* array) {
      return read_npy<float>(entry.path() / (std::string(array) + ".npy"));
    };
    const Input picture(height, width);
    for (const DType dtype : {DType::f32, DType::int8})
      for (const DType attention : {DType::f32, DType::int8}) {
        const Model model = load(golden.folder(), dtype);
        const auto heads = model.info().num_heads;
        Session session = make(model, {.threads = 2,
                                       .attention = attention,
                                       .image_height = height,
                                       .image_width = width,
                                       .outputs = Outputs::attentions | Outputs::hidden_states,
                                       .layers = all_blocks(model)});
        const Output out = session.run(picture.view).value();
        const auto maps = expected("attentions"), states = expected("hidden_states"), layers = expected("layers");
        CHECK(maps.shape == std::vector<std::int64_t>{model.info().num_layers, heads, out.num_tokens, out.num_tokens});
        if (dtype == DType::f32) {
          CHECK(largest_difference(out.attentions, maps.values) <= 1e-4);
          CHECK(largest_difference(out.hidden_states, states.values) <= 1e-4);
          CHECK(largest_difference(out.intermediate_layers, layers.values) <= 1e-4);
        } else {
          CHECK(cosine(out.attentions, maps.values) >= 0.999);
          CHECK(cosine(out.hidden_states, states.values) >= 0.999);
          CHECK(cosine(out.intermediate_layers, layers.values) >= 0.999);
        }
        const auto T = static_cast<std::size_t>(out.num_tokens);
        for (std::size_t row = 0; row < out.attentions.size(); row += T) {
          double sum = 0;
          for (const float p : out.attentions.subspan(row, T)) sum += p;
          CHECK(sum == doctest::Approx(1).epsilon(dtype == DType::int8 && attention == DType::int8 ? 0.02 : 1e-5));
        }
        // Without the norm, a layer is the state after its block.
        Session plain = make(model, {.attention = attention,
                                     .image_height = height,
                                     .image_width = width,
                                     .outputs = Outputs::hidden_states,
                                     .layers = {1, 0},
                                     .norm_layers = false});
        const Output raw = plain.run(picture.view).value();
        const std::size_t size = raw.hidden_states.size() / 3;
        CHECK(same(raw.intermediate_layers.first(size), raw.hidden_states.subspan(2 * size)));
        CHECK(same(raw.intermediate_layers.subspan(size), raw.hidden_states.subspan(size, size)));
      }
  }
  CHECK(count == 7);
}

TEST_CASE("what is asked for has the same bits, alone or with everything else, at session or run time") {
  std::vector<std::filesystem::path> folders;
  for (const char* name : kCases) folders.push_back(goldens() / "families" / name);
  for (const char* name :
       {"vit_odd_sizes", "vit_model_pooler", "timm_distilled"})  // 72 and 96 wide: keys begin inside a panel
    folders.push_back(goldens() / "vit" / name);
  for (const auto& folder : folders) {
    CAPTURE(folder);
    const GoldenModel golden(folder);
    for (const DType dtype : {DType::f32, DType::int8}) {
      const Model model = load(golden.folder(), dtype);
      const Input a(model.info().image_height, model.info().image_width),
          b(model.info().image_height, model.info().image_width, "b");
      const std::vector<ImageView> pictures{a.view, b.view};
      Session full = make(model, {.max_batch = 2, .outputs = kEverything, .layers = all_blocks(model)});
      const auto expected = copies(full.run(pictures).value());
      std::vector<Outputs> wishes = {Outputs::cls | Outputs::logits, Outputs::registers | Outputs::cls,
                                     Outputs::logits | Outputs::pooled, Outputs::none};
      for (const auto& [what, values] : parts(Output())) wishes.push_back(what);
      for (const Outputs wish : wishes) {
        CAPTURE(static_cast<unsigned>(wish));
        const bool layers = vitrail::has(wish, Outputs::intermediate_layers);
        Session session = make(
            model,
            {.threads = 2, .max_batch = 2, .outputs = wish, .layers = layers ? all_blocks(model) : std::vector<int>()});
        CHECK(session.memory_bytes() <= full.memory_bytes() + 2 * 4096 * 100);
        const auto check = [&](const Output& out) {
          const auto found = parts(out);
          for (std::size_t i = 0; i < found.size(); ++i) {
            CAPTURE(i);
            if (vitrail::has(wish, found[i].first))
              CHECK(same(found[i].second, expected[i]));
            else
              CHECK(found[i].second.empty());
          }
        };
        check(session.run(pictures).value());
        check(full.run(pictures, wish).value());
      }
      CHECK(same(full.run(pictures).value().tokens, expected[4]));  // a small run leaves nothing behind
    }
  }
}

TEST_CASE("an answer that needs only CLS costs fewer multiplications") {
  const GoldenModel golden(goldens() / "families" / "dinov2");
  const Model model = load(golden.folder(), DType::int8);
  const Input picture(56, 56);
  const std::uint64_t D = 64, M = 128, T = 17, N = 16, K = 588, H = 2;
  const std::uint64_t of_class = D * D + H * (2 * D * D + 2 * T * D);  // a query; keys and values once for each head
  struct Macs {
    std::uint64_t done, of_network;
  };
  const auto macs = [&](SessionOptions options) {
    options.profile = true;
    Session session = make(model, options);
    REQUIRE(session.run(picture.view));
    std::uint64_t sum = 0;
    for (const Operation& operation : session.profile()) sum += operation.macs;
    return Macs{sum, session.info().macs};
  };
  const auto same = [](Macs m, std::uint64_t expected) { return m.done == expected && m.of_network == expected; };
  const std::uint64_t block = T * (4 * D * D + 2 * D * M) + 2 * T * T * D, last = D * D + 2 * D * M;
  const Macs all = macs({.outputs = Outputs::tokens});
  CHECK(all.of_network == N * K * D + 2 * block);
  CHECK(all.done == all.of_network + of_class);
  CHECK(model.info().macs == all.of_network);
  CHECK(same(macs({.outputs = Outputs::cls}), N * K * D + block + of_class + last));
  // In f32, keys and values of all tokens.
  CHECK(same(macs({.attention = DType::f32, .outputs = Outputs::tokens}), all.of_network));
  CHECK(same(macs({.attention = DType::f32, .outputs = Outputs::cls}),
             N * K * D + block + D * D + 2 * T * D * D + 2 * T * D + last));
  CHECK(same(macs({.outputs = Outputs::none, .layers = {0}}), N * K * D + block));
  CHECK(same(macs({.outputs = Outputs::patch_embed}), 2 * N * K * D));
  CHECK(same(macs({.outputs = Outputs::none}), 0));
}

TEST_CASE("attention maps and layers are the same on every class of CPU") {
  const GoldenModel golden(goldens() / "families" / "dinov3");
  const Input picture(48, 48);
  std::vector<std::vector<float>> first;
  for (const auto& platform : platforms()) {
    CAPTURE(platform.name);
    const CpuLimit limit(platform.name);
    const Model model = load(golden.folder(), DType::int8);
    Session session = make(model, {.threads = 2, .outputs = kEverything, .layers = {1}});
    const auto found = copies(session.run(picture.view).value());
    if (first.empty()) first = found;
    for (std::size_t i = 0; i < found.size(); ++i) CHECK(same(found[i], first[i]));
  }
}

TEST_CASE("blocks that are not there, or twice, are refused") {
  const GoldenModel golden(goldens() / "families" / "dinov2");
  const Model model = load(golden.folder(), DType::int8);
  for (const int block : {-1, 2, 999}) {
    const std::string found = "found " + std::to_string(block) + ", expected 0 to 1";
    CHECK(has(refused(model, {.layers = {0, block}}), "SessionOptions::layers: " + found));
    CHECK(has(refused(model, {.attention_layers = {block}}), "SessionOptions::attention_layers: " + found));
  }
  CHECK(has(refused(model, {.attention = static_cast<DType>(7)}),
            "SessionOptions::attention: found 7, expected DType::int8 or DType::f32"));
  CHECK(has(refused(model, {.outputs = static_cast<Outputs>(1 << 20)}), "SessionOptions::outputs: found 1048576"));
  const auto loaded = Model::load(golden.folder(), {.dtype = static_cast<DType>(7)});
  REQUIRE_FALSE(loaded);
  CHECK(has(loaded.error().message, "LoadOptions::dtype: found 7"));
  CHECK(has(refused(model, {.layers = {1, 1}}), "layers: found 1, expected each block once"));
  CHECK(has(refused(model, {.outputs = Outputs::intermediate_layers}), "SessionOptions::layers: found none"));
  CHECK(has(
      refused(model, {.max_batch = 1024, .image_height = 1400, .image_width = 1400, .outputs = Outputs::attentions}),
      "attention_layers: their maps would take"));
  CHECK(has(refused(model, {.reconstruct = true}), "(dinov2) has no decoder"));
  Session session = make(model, {.outputs = Outputs::cls});
  const Input picture(56, 56);
  const auto more = session.run(std::span(&picture.view, 1), Outputs::tokens);
  REQUIRE_FALSE(more);
  CHECK(has(more.error().message, "outputs: found one that SessionOptions::outputs does not have"));
  const auto no_decoder = session.reconstruct(picture.view, {});
  REQUIRE_FALSE(no_decoder);
  CHECK(has(no_decoder.error().message, "SessionOptions::reconstruct"));
}

TEST_CASE("patch tokens are a grid of each picture's tokens without the prefix") {
  const GoldenModel golden(goldens() / "families" / "dinov2_registers");
  const Model model = load(golden.folder(), DType::int8);
  const Input a(42, 28), b(42, 28, "b");
  const std::vector<ImageView> pictures{a.view, b.view};
  Session session = make(model, {.max_batch = 2, .image_height = 42, .image_width = 28, .layers = {0}});
  const Output out = session.run(pictures).value();
  CHECK(out.num_prefix == 5);
  CHECK(out.patch_tokens(1).size() == 3 * 2 * 64);
  CHECK(out.patch_tokens(0).data() == out.tokens.data() + 5 * 64);
  CHECK(out.patch_tokens(1).data() == out.tokens.data() + (11 + 5) * 64);
  CHECK(out.patch_tokens(out.intermediate_layers, 1).data() == out.intermediate_layers.data() + (11 + 5) * 64);
  CHECK(out.patch_tokens(2).empty());
  CHECK(out.patch_tokens(-1).empty());
}

TEST_CASE("any size: one session gives what sessions of each size give, and allocates for a new size only") {
  for (const char* name : {"dinov2_registers", "dinov3", "siglip", "mae_with_decoder", "beit"}) {
    CAPTURE(name);
    const GoldenModel golden(goldens() / "families" / name);
    const Model model = load(golden.folder(), DType::int8);
    const int unit = model.info().patch_height;
    Session any = make(model, {.threads = 2,
                               .max_batch = 2,
                               .image_height = 6 * unit,
                               .image_width = 9 * unit,
                               .any_size = true,
                               .outputs = kEverything,
                               .layers = {1}});
    for (int round = 0; round < 2; ++round)
      for (const auto& [rows, columns] : {std::pair{6, 9}, {1, 1}, {4, 4}, {3, 7}, {6, 6}}) {
        CAPTURE(rows);
        CAPTURE(columns);
        const Input a(rows * unit, columns * unit), b(rows * unit, columns * unit, "b");
        const std::vector<ImageView> pictures{a.view, b.view};
        Session own = make(model, {.max_batch = 2,
                                   .image_height = rows * unit,
                                   .image_width = columns * unit,
                                   .outputs = kEverything,
                                   .layers = {1}});
        const auto before = allocations();
        const bool good = static_cast<bool>(any.run(pictures));
        if (round == 1) CHECK(allocations() == before);
        REQUIRE(good);
        const Output out = any.run(pictures).value();
        CHECK(out.grid_rows == rows);
        CHECK(out.grid_columns == columns);
        const auto expected = copies(own.run(pictures).value());
        const auto found = parts(out);
        for (std::size_t i = 0; i < found.size(); ++i) CHECK(same(found[i].second, expected[i]));
      }
  }
}

TEST_CASE("any size: what is refused, and more sizes than are kept") {
  const GoldenModel golden(goldens() / "families" / "clip");
  const Model model = load(golden.folder(), DType::int8);
  Session session = make(model, {.max_batch = 2, .image_height = 64, .image_width = 160, .any_size = true});
  const Input good(48, 48), other(48, 56), uneven(50, 64), tall(72, 8), tiny(3, 3);
  const auto says = [&](std::vector<ImageView> pictures, const char* text) {
    const auto out = session.run(pictures);
    REQUIRE_FALSE(out);
    CAPTURE(out.error().message);
    CHECK(has(out.error().message, text));
  };
  REQUIRE(session.run(good.view));
  says({good.view, other.view}, "images: found 48 × 56 pixels after 48 × 48");
  says({uneven.view}, "image: found 50 × 64 pixels, expected multiples of the patch size 8 × 8: height 48 or 56");
  says({tall.view}, "image: found 72 × 8 pixels, expected at most 64 × 160");
  says({tiny.view}, "height 8, width 8");
  const auto first = copies(session.run(good.view).value());
  for (int columns = 1; columns <= 20; ++columns) {
    const Input picture(16, 8 * columns);
    REQUIRE(session.run(picture.view));
  }
  CHECK(copies(session.run(good.view).value()) == first);
  for (int round = 0; round < 2; ++round) {  // 16 below the largest size are kept
    const auto before = allocations();
    for (int columns = 1; columns <= 16; ++columns) {
      const ImageView picture{good.view.data, 8 * columns, 8, 3 * 8 * columns, PixelFormat::rgb8};
      REQUIRE(session.run(picture));
    }
    if (round == 1) CHECK(allocations() == before);
  }
  CHECK(has(refused(model, {.image_height = 50, .image_width = 48, .any_size = true}), "multiples of the patch size"));
}
