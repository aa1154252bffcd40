// The demo network on pictures it has never seen: accuracy in f32 and int8, and how often they agree.
#include <doctest/doctest.h>

#include "tools/demo/signs.hpp"
#include "vitrail/vitrail.hpp"

using namespace vitrail;

namespace {

constexpr int pictures = 1600, batch = 16, size = 64;

std::vector<int> predict(DType dtype) {
  LoadOptions options;
  options.dtype = dtype;
  const Model model = Model::load(VITRAIL_SOURCE_DIR "/models/demo", options).value();
  REQUIRE(model.info().num_labels == demo::class_count);
  for (int i = 0; i < demo::class_count; ++i)
    CHECK(model.info().labels[static_cast<std::size_t>(i)] == demo::labels()[static_cast<std::size_t>(i)]);
  Session session = model.session({.threads = 2, .max_batch = batch}).value();
  std::vector<int> predictions;
  for (int first = 0; first < pictures; first += batch) {
    std::vector<std::vector<std::uint8_t>> drawn;
    std::vector<ImageView> views;
    for (int i = first; i < first + batch; ++i) {
      const auto seed = static_cast<std::uint64_t>(i);
      drawn.push_back(demo::draw_sign(demo::held_out_seed + seed, demo::label_of(seed), size));
      views.push_back({drawn.back().data(), size, size, 3 * size, PixelFormat::rgb8});
    }
    const Output out = session.run(views).value();
    for (std::size_t b = 0; b < batch; ++b)
      predictions.push_back(top_k(out.logits.subspan(b * demo::class_count, demo::class_count), 1)[0].index);
  }
  return predictions;
}

}  // namespace

TEST_CASE("the demo network: int8 keeps the accuracy of f32 on pictures never seen") {
  const auto f32 = predict(DType::f32), int8 = predict(DType::int8);
  int f32_right = 0, int8_right = 0, agree = 0;
  for (std::size_t i = 0; i < pictures; ++i) {
    f32_right += f32[i] == demo::label_of(i);
    int8_right += int8[i] == demo::label_of(i);
    agree += f32[i] == int8[i];
  }
  const auto percent = [](int n) { return 100.0 * n / pictures; };
  MESSAGE(pictures << " held-out pictures: f32 " << percent(f32_right) << " %, int8 " << percent(int8_right)
                   << " %, same top-1 " << percent(agree) << " %");
  CHECK(percent(f32_right) >= 95.0);
  CHECK(percent(f32_right) <= 99.5);
  CHECK(std::abs(percent(int8_right) - percent(f32_right)) <= 0.5);
  CHECK(percent(agree) >= 99.0);
}
