// A session of another size than the network's own: which pictures its preprocessing makes.
#include <doctest/doctest.h>

#include "tests/support/tiny_networks.hpp"
#include "vitrail/session.hpp"

using namespace vitrail;
using namespace vitrail::test;

TEST_CASE("a session of another size prepares pictures as a network of that size would") {
  using Resize = PreprocessConfig::Resize;
  const auto at = [](const Model& model, int height, int width) {
    return model.session({.image_height = height, .image_width = width}).value().info().preprocess;
  };
  const Model timm = Model::random("vit_tiny_patch16_224").value();  // crop_pct 0.9
  const PreprocessConfig larger = at(timm, 384, 384), wide = at(timm, 448, 672);
  CHECK(larger.resize == Resize::shortest_edge);
  CHECK(larger.resize_height == 426);
  CHECK(larger.resample == Resampling::bicubic);
  CHECK(larger.crop_height == 384);
  CHECK(wide.resize == Resize::cover);  // as timm makes it from input_size (3, 448, 672)
  CHECK(wide.resize_height == 497);
  CHECK(wide.resize_width == 746);
  CHECK(wide.resample == Resampling::bilinear);
  CHECK(wide.mean[0] == 0.5);
  TinyFolder folder;
  make_timm(folder);
  folder.config["pretrained_cfg"]["crop_mode"] = "squash";
  const PreprocessConfig squashed = at(Model::load(folder.write()).value(), 64, 96);
  CHECK(squashed.resize == Resize::exact);
  CHECK(squashed.resize_width == 106);  // floor(96 / 0.9)

  folder.config["pretrained_cfg"]["crop_mode"] = "border";
  const PreprocessConfig bordered = at(Model::load(folder.write()).value(), 64, 96);
  CHECK(bordered.resize == Resize::contain);
  CHECK(bordered.resize_height == 71);
  CHECK(bordered.resample == Resampling::bicubic);
  CHECK(bordered.fill[0] == 128);  // the mean, as before

  TinyFolder limited;
  make_huggingface(limited);
  limited.preprocessor.update({{"size", {{"shortest_edge", 40}, {"longest_edge", 60}}},
                               {"image_processor_type", "CLIPImageProcessor"},
                               {"do_center_crop", true},
                               {"crop_size", 32}});
  const PreprocessConfig doubled = at(Model::load(limited.write()).value(), 64, 64);
  CHECK(doubled.resize_height == 80);
  CHECK(doubled.longest_edge == 120);
  TinyFolder as_it_is;
  make_huggingface(as_it_is);
  as_it_is.preprocessor["do_resize"] = false;
  Session session = Model::load(as_it_is.write()).value().session().value();
  CHECK(session.run(Image(32, 32, PixelFormat::rgb8).view()));
  CHECK(session.run(Image(48, 40, PixelFormat::rgb8).view()).error().message ==
        "image: found 40 × 48 pixels after preprocessing, expected 32 × 32");
  limited.preprocessor["size"]["longest_edge"] = 8000;
  CHECK(at(Model::load(limited.write()).value(), 320, 320).longest_edge == max_image_side);
}
