// `vitrail plan`, and the size of the pictures: --size.
#include <doctest/doctest.h>

#include "tests/support/program.hpp"

using namespace vitrail::test;
using nlohmann::json;

TEST_CASE("the size of the pictures the network sees") {
  const Bench bench;
  bench.picture("a.ppm", 32, 32);
  // Positions are resampled: 4 x 4 patches of the 32 x 32 network become 6 x 4.
  const auto patches = [&](const std::string& size) {
    const Ran ran = bench.run(kEmbed + "-i a.ppm -o e.npy --output tokens --size " + size);
    CHECK_MESSAGE(ran.exit_code == 0, ran.err);
    return read(bench.path("e.npy"));
  };
  CHECK(has(patches("32x32"), "'shape': (1, 17, 64)"));
  CHECK(has(patches("32"), "'shape': (1, 17, 64)"));
  CHECK(has(patches("48x32"), "'shape': (1, 25, 64)"));
  CHECK(has(patches("8x64"), "'shape': (1, 9, 64)"));
  for (const char* size : {"0x0", "0x32", "32x0", "-8x32", "x32", "32x", "32x32x3", "8.5x8", "wide", "''", "8193x8",
                           "2000000000x8", "99999999999x8"}) {
    CAPTURE(size);
    const Ran ran = bench.run(kClassify + "-i a.ppm --size " + size);
    CHECK(ran.exit_code == 2);
    CHECK(has(ran.err, "--size"));
    CHECK(has(ran.err, "expected HxW"));
  }
  for (const char* size : {"33x32", "32x7", "1x1"}) {
    CAPTURE(size);
    const Ran ran = bench.run(kClassify + "-i a.ppm --size " + size);
    CHECK(ran.exit_code == 1);
    CHECK(has(ran.err, "expected"));
    CHECK(bench.run("bench -m " + quoted(kModel) + " --runs 1 -t 1 --dtype int8 --size " + size).exit_code == 1);
  }
  const Ran odd = bench.run(kClassify + "-i a.ppm --size 33x32");
  CHECK(has(odd.err, "--size: found 33 × 32 pixels"));
}

TEST_CASE("plan") {
  const Bench bench;
  const Ran other = bench.run("plan --arch vit_small_patch16_dinov3 --size 64 --patch 16");
  CHECK(other.exit_code == 1);
  for (const char* name : {"vit_tiny_patch16_224", "vit_tiny_patch16_224.augreg_in21k", "vit_tiny_patch16_224_in21k"})
    CHECK(has(bench.run("plan -t 1 --size 32 --patch 16 --arch " + std::string(name)).out, "vit_tiny, pictures"));
  CHECK(has(other.err, "--arch: found vit_small_patch16_dinov3, expected a plain ViT or DeiT"));
  const Ran ran = bench.run("plan --arch vit_tiny --size 64 --patch 8,16,32 --measure -t 1 --json -o plan.svg");
  REQUIRE_MESSAGE(ran.exit_code == 0, ran.err);
  REQUIRE(ran.lines().size() == 1);
  const json plan = ran.lines()[0];
  REQUIRE(plan["patches"].size() == 3);
  const json &small = plan["patches"][0], &middle = plan["patches"][1];
  CHECK(small["patch"] == 8);
  CHECK(small["patches"] == 64);
  CHECK(small["patch_elements"] == 192);
  CHECK(middle["tokens"] == 17);
  // Tiny: D = 192, M = 768, L = 12; the attention of 17 tokens, and what is linear in them.
  CHECK(middle["attention_macs"] == 12 * 2 * 17 * 17 * 192);
  CHECK(middle["linear_macs"] == 16 * 768 * 192 + 17 * 12 * (4 * 192 * 192 + 2 * 192 * 768) + 192 * 1000);
  for (const json& row : plan["patches"]) {
    // The same network as bench makes it.
    const std::string name = "vit_tiny_patch" + std::to_string(row["patch"].get<int>()) + "_64";
    const auto measured = bench.run("bench --arch " + name + " --runs 1 --dtype int8 -t 1 --json").lines();
    REQUIRE(measured.size() == 1);
    CHECK(row["macs"] == measured[0]["macs"]);
    CHECK(row["predicted_ms"] > 0.0);
    CHECK(row["measured_ms"] > 0.0);
    CHECK(row["trade_off"].get<std::string>().size() > 10);
  }
  // What a session really takes, but for its paddings and outputs.
  for (const char* dtype : {"int8", "f32"}) {
    const std::string options = " -t 1 --json --dtype " + std::string(dtype);
    const json row = bench.run("plan --arch vit_small --size 224 --patch 16" + options).lines().at(0)["patches"][0];
    const auto measured = bench.run("bench --arch vit_small_patch16_224 --runs 1" + options).lines();
    REQUIRE(measured.size() == 1);
    const std::string kernels = measured[0]["kernels"].dump();
    const auto bytes = std::stoull(kernels.substr(kernels.find("activations: ") + 13));
    CHECK(row["activation_bytes"] <= bytes);
    CHECK(row["activation_bytes"].get<double>() * 1.02 >= static_cast<double>(bytes));
  }
  // P²·C·D more weights in the embedding, fewer positions.
  CHECK(middle["parameters"].get<std::int64_t>() - small["parameters"].get<std::int64_t>() ==
        (768 - 192) * 192 - (64 - 16) * 192);
  CHECK(plan["calibration"]["patch"] == 16);
  const std::string svg = read(bench.path("plan.svg"));
  CHECK(has(svg, "<svg"));
  CHECK(has(svg, "P = 32"));
  CHECK(has(svg, "measured"));
  CHECK(has(svg, "</svg>"));

  const Ran table = bench.run("plan --arch vit_tiny_patch16_224 --size 32x64 --patch 16 -t 1");
  CHECK_MESSAGE(table.exit_code == 0, table.err);
  CHECK(has(table.out, "P = 16"));
  CHECK(has(table.out, "cheap and coarse"));
  const auto wide = bench.run("plan --arch vit_tiny --size 32x64 --patch 8,16 -t 1 --json").lines();
  REQUIRE(wide.size() == 1);
  CHECK(wide[0]["patches"][1]["patches"] == 8);
  CHECK(wide[0]["patches"][1]["measured_ms"].is_null());
  // As many parameters as a square picture of equally many patches would need.
  const auto square = bench.run("plan --arch vit_tiny --size 64 --patch 16 -t 1 --json").lines();
  CHECK(square[0]["patches"][0]["parameters"].get<int>() - wide[0]["patches"][1]["parameters"].get<int>() == 8 * 192);

  const Ran odd = bench.run("plan --arch vit_tiny --size 100 --patch 14 -t 1");
  CHECK(odd.exit_code == 1);
  CHECK(has(odd.err, "height 100 is not a multiple of patch 14; the nearest are 98 and 112"));
  const Ran many = bench.run("plan --arch vit_tiny --size 8192 --patch 1 -t 1");
  CHECK(many.exit_code == 1);
  CHECK(has(many.err, "at most 65536"));
  const Ran unknown = bench.run("plan --arch resnet --patch 16 -t 1");
  CHECK(unknown.exit_code == 1);
  CHECK(has(unknown.err, "resnet"));
  CHECK(bench.run("plan --patch 16 -o missing/plan.svg").exit_code == 1);
  for (const char* bad :
       {"--size 0", "--size 8x", "--size 8193", "--patch 0", "--patch 16,x", "--patch 5000", "--dtype f16"}) {
    CAPTURE(bad);
    CHECK(bench.run(std::string("plan ") + bad).exit_code == 2);
  }
}
