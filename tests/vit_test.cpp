// Whole networks against transformers' and timm's own results (tests/goldens/vit and saved): every output in f32 to
// 1e-4; int8 to the bit between all classes of this CPU, and close to f32.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <set>

#include "tests/support/environment.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/platforms.hpp"
#include "vitrail/vitrail.hpp"

using namespace vitrail;
using namespace vitrail::test;
namespace fs = std::filesystem;

namespace {

constexpr double tolerance = 1e-4;

/// One golden case, its model folder at hand whether its weights are stored (saved/) or made from names (vit/).
class Case {
 public:
  explicit Case(const fs::path& source) : source_(source) {
    if (fs::exists(source / "tensors.json")) made_ = std::make_unique<GoldenModel>(source);
    description_ = nlohmann::json::parse(read_file(source / "case.json"));
  }
  fs::path folder() const { return made_ ? made_->folder() : source_; }
  bool has(const std::string& array) const { return fs::exists(source_ / (array + ".npy")); }
  std::vector<float> expected(const std::string& array) const {
    return read_npy<float>(source_ / (array + ".npy")).values;
  }
  std::vector<int> rows(const char* key) const { return description_.at(key).get<std::vector<int>>(); }

 private:
  fs::path source_;
  std::unique_ptr<GoldenModel> made_;
  nlohmann::json description_;
};

std::vector<fs::path> cases() {
  std::set<fs::path> all;
  for (const char* set : {"vit", "saved"})
    for (const auto& entry : fs::directory_iterator(goldens() / set))
      if (fs::exists(entry.path() / "case.json")) all.insert(entry.path());
  return {all.begin(), all.end()};
}

double largest_difference(std::span<const float> a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    REQUIRE(std::isfinite(a[i]));
    largest = std::max(largest, std::fabs(static_cast<double>(a[i]) - b[i]));
  }
  return largest;
}

double cosine(std::span<const float> a, std::span<const float> b) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

/// Rows `chosen` of [rows, dim].
std::vector<float> pick(std::span<const float> all, const std::vector<int>& chosen, std::size_t dim) {
  std::vector<float> out;
  for (const int row : chosen) {
    const auto at = all.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(row) * dim);
    out.insert(out.end(), at, at + static_cast<std::ptrdiff_t>(dim));
  }
  return out;
}

struct Input {
  explicit Input(const ModelInfo& info)
      : bytes(golden_picture("mixed", info.image_width, info.image_height, info.channels)),
        view{bytes.data(), info.image_width, info.image_height,
             static_cast<std::ptrdiff_t>(info.image_width) * info.channels,
             info.channels == 1 ? PixelFormat::gray8 : PixelFormat::rgb8} {}
  std::vector<std::uint8_t> bytes;
  ImageView view;
};

Model load(const Case& c, DType dtype) {
  LoadOptions options;
  options.dtype = dtype;
  auto model = Model::load(c.folder(), options);
  if (!model) FAIL(model.error().message);
  return *model;
}

}  // namespace

TEST_CASE("f32: every output equals the goldens to 1e-4") {
  const auto all = cases();
  CHECK(all.size() >= 30);
  for (const auto& source : all) {
    CAPTURE(source.filename().string());
    const Case c(source);
    const Model model = load(c, DType::f32);
    Session session =
        model.session({.outputs = Outputs::standard | Outputs::patch_embed | Outputs::hidden_states}).value();
    const Input picture(model.info());
    const Output out = session.run(picture.view).value();
    const auto D = static_cast<std::size_t>(model.info().embed_dim),
               T = static_cast<std::size_t>(model.info().num_tokens);
    const auto L = static_cast<std::size_t>(model.info().num_layers);

    if (c.has("logits")) CHECK(largest_difference(out.logits, c.expected("logits")) <= tolerance);
    if (c.has("pooled")) CHECK(largest_difference(out.pooled, c.expected("pooled")) <= tolerance);
    CHECK(largest_difference(pick(out.tokens, c.rows("token_rows"), D), c.expected("tokens")) <= tolerance);
    CHECK(largest_difference(pick(out.patch_embed, c.rows("patch_rows"), D), c.expected("patch_embed")) <= tolerance);

    std::vector<float> mean(D);
    for (std::size_t i = 0; i < T * D; ++i) mean[i % D] += out.tokens[i] / static_cast<float>(T);
    CHECK(largest_difference(mean, c.expected("tokens_mean")) <= tolerance);

    std::vector<float> first_rows;
    for (std::size_t layer = 1; layer <= L; ++layer) {
      const auto row = out.hidden_states.subspan(layer * T * D, D);
      first_rows.insert(first_rows.end(), row.begin(), row.end());
    }
    CHECK(largest_difference(first_rows, c.expected("cls_per_block")) <= tolerance);
  }
}

TEST_CASE("int8: bit-identical on every class of CPU, and close to f32") {
  for (const auto& source : cases()) {
    CAPTURE(source.filename().string());
    const Case c(source);
    const Model exact = load(c, DType::f32);
    const Input picture(exact.info());
    std::vector<float> first;
    for (const auto& platform : platforms()) {
      CAPTURE(platform.name);
      const CpuLimit limit(platform.name);
      const Model model = load(c, DType::int8);
      for (const int threads : {1, 2}) {
        Session session = model.session({.threads = threads}).value();
        const Output out = session.run(picture.view).value();
        std::vector<float> values(out.tokens.begin(), out.tokens.end());
        values.insert(values.end(), out.pooled.begin(), out.pooled.end());
        values.insert(values.end(), out.logits.begin(), out.logits.end());
        if (first.empty()) first = values;
        CHECK(std::memcmp(first.data(), values.data(), values.size() * sizeof(float)) == 0);
      }
    }
    Session f32 = exact.session().value();
    const Output out = f32.run(picture.view).value();
    CHECK(cosine(out.tokens, std::span(first).first(out.tokens.size())) > 0.998);
  }
}
