// The demo network's logits are the same bits on every processor: x86, ARM, RISC-V, 32 and 64 bits. The expected ones
// are files, so that a build for another architecture has something to agree with.
#include <doctest/doctest.h>

#include "tests/support/golden.hpp"
#include "vitrail/vitrail.hpp"

using namespace vitrail;

namespace {

constexpr int side = 64, labels = 16;

/// [pictures, labels]
std::vector<float> logits(DType dtype, const std::vector<std::uint8_t>& pictures) {
  LoadOptions options;
  options.dtype = dtype;
  const Model model = Model::load(VITRAIL_SOURCE_DIR "/models/demo", options).value();
  Session session = model.session({.threads = 2}).value();
  std::vector<float> all;
  for (std::size_t at = 0; at < pictures.size(); at += side * side * 3) {
    const Output out = session.run({pictures.data() + at, side, side, side * 3, PixelFormat::rgb8}).value();
    all.insert(all.end(), out.logits.begin(), out.logits.end());
  }
  return all;
}

}  // namespace

TEST_CASE("the demo network's logits have the bits of the files, on every architecture") {
  const auto folder = test::goldens() / "demo";
  const auto pictures = test::read_npy<std::uint8_t>(folder / "pictures.npy");
  REQUIRE(pictures.values.size() == 16u * side * side * 3);
  for (const auto& [name, dtype] : {std::pair{"int8.bin", DType::int8}, {"f32.bin", DType::f32}}) {
    CAPTURE(name);
    const auto found = logits(dtype, pictures.values);
    REQUIRE(found.size() == 16u * labels);
    CHECK(test::has_bits_of(folder / name, found));
    for (std::size_t i = 0; i < 16; ++i)  // the sorted samples are one of each label
      CHECK(top_k({found.data() + i * labels, labels}, 1)[0].probability > 0.5f);
  }
}
