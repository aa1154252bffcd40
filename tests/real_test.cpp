// The published DeiT-Tiny against PyTorch's results, where its folder is at hand: VITRAIL_REAL, or
// shared/real/deit_tiny beside the repository. It is not part of the repository, so without it this test says that it
// is skipped.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <set>

#include "tests/support/golden.hpp"
#include "vitrail/vitrail.hpp"

using namespace vitrail;
using namespace vitrail::test;
namespace fs = std::filesystem;

namespace {

fs::path folder() {
  const char* named = std::getenv("VITRAIL_REAL");
  return named ? fs::path(named) : fs::path(VITRAIL_SOURCE_DIR).parent_path() / "shared" / "real" / "deit_tiny";
}

double largest_difference(std::span<const float> a, const NpyArray<float>& b) {
  REQUIRE(a.size() == b.values.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    largest = std::max(largest, std::fabs(static_cast<double>(a[i]) - b.values[i]));
  return largest;
}

}  // namespace

TEST_CASE(
    "DeiT-Tiny from its u8 crop: f32 equals PyTorch to 1e-4, int8 gives the same top five and the same bits "
    "everywhere") {
  const fs::path real = folder();
  if (!fs::exists(real / "model.safetensors")) {
    MESSAGE("skipped: no DeiT-Tiny in " << real.string());
    return;
  }
  const auto pixels = read_npy<std::uint8_t>(real / "cats.u8_224x224x3.npy");
  const ImageView picture{pixels.values.data(), 224, 224, 224 * 3, PixelFormat::rgb8};
  const auto expected = read_npy<float>(real / "cats.logits_1000.npy");
  std::set<int> top;
  for (const auto& p : top_k(expected.values, 5)) top.insert(p.index);

  for (const DType dtype : {DType::f32, DType::int8}) {
    LoadOptions options;
    options.dtype = dtype;
    const Model model = Model::load(real, options).value();
    Session session =
        model.session({.threads = 2, .outputs = Outputs::standard | Outputs::patch_embed | Outputs::hidden_states})
            .value();
    const Output out = session.run(picture).value();
    if (dtype == DType::f32) {
      std::vector<float> cls;
      for (std::ptrdiff_t layer = 1; layer <= 12; ++layer) {
        const auto row = out.hidden_states.begin() + layer * 197 * 192;
        cls.insert(cls.end(), row, row + 192);
      }
      CHECK(largest_difference(out.logits, expected) <= 1e-4);
      CHECK(largest_difference(out.tokens, read_npy<float>(real / "cats.tokens_197x192.npy")) <= 1e-4);
      CHECK(largest_difference(out.patch_embed, read_npy<float>(real / "cats.patch_embed_196x192.npy")) <= 1e-4);
      CHECK(largest_difference(cls, read_npy<float>(real / "cats.cls_per_block_12x192.npy")) <= 1e-4);
    } else {
      double ab = 0, aa = 0, bb = 0;
      for (std::size_t i = 0; i < 1000; ++i) {
        ab += static_cast<double>(out.logits[i]) * expected.values[i];
        aa += static_cast<double>(out.logits[i]) * out.logits[i];
        bb += static_cast<double>(expected.values[i]) * expected.values[i];
      }
      MESSAGE("int8 cosine of the logits: " << ab / std::sqrt(aa * bb));
      CHECK(ab / std::sqrt(aa * bb) >= 0.998);
      std::set<int> found;
      for (const auto& p : top_k(out.logits, 5)) found.insert(p.index);
      CHECK(found == top);
      CHECK(has_bits_of(goldens() / "demo" / "deit_tiny_int8.bin", out.logits));
    }
  }
}
