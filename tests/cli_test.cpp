// The program `vitrail`, run as a user runs it: exit codes, messages, JSON, files. The networks are tiny ones of the
// goldens.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/program.hpp"
#include "vitrail/codecs.hpp"

using namespace vitrail;
using namespace vitrail::test;
namespace fs = std::filesystem;
using nlohmann::json;

TEST_CASE("help and usage") {
  const Bench bench;
  const Ran help = bench.run("--help");
  CHECK(help.exit_code == 0);
  for (const std::string command :
       {"classify", "embed", "similar", "attention", "features", "mae", "patches", "info", "bench", "plan"}) {
    CHECK(has(help.out, command));
    const Ran own = bench.run(command + " --help");
    CHECK(own.exit_code == 0);
    CHECK(has(own.out, "Usage: vitrail " + command));
  }
  CHECK(bench.run("--version").exit_code == 0);
  CHECK(bench.run("").exit_code == 2);
  const Ran unknown = bench.run("paint");
  CHECK(unknown.exit_code == 2);
  CHECK(has(unknown.err, "found paint, expected one of classify, embed,"));
  const Ran endless = bench.run("bench --seconds nan");
  CHECK(endless.exit_code == 2);
  CHECK(has(endless.err, "--seconds: found nan, expected 0 to 3600"));
  CHECK(bench.run("bench --seconds 1x").exit_code == 2);
  CHECK(bench.run("classify").exit_code == 2);
  CHECK(bench.run("classify -m x -i y --frames 3").exit_code == 2);
  CHECK(bench.run("classify -m x -i y -k 0").exit_code == 2);
  CHECK(bench.run("classify -m x -i y --dtype f64").exit_code == 2);
  CHECK(bench.run("bench --batch 0").exit_code == 2);
  for (const char* threads : {"0", "-1", "10000", "two", "1.5"}) {
    CAPTURE(threads);
    const Ran ran = bench.run(std::string("classify -m x -i y -t ") + threads);
    CHECK(ran.exit_code == 2);
    CHECK(has(ran.err, ", expected 1 to 256"));
  }
}

TEST_CASE("classify") {
  const Bench bench;
  bench.picture("a.ppm", 32, 32);
  const Ran plain = bench.run(kClassify + "-i a.ppm -k 3 -t 1");
  CHECK_MESSAGE(plain.exit_code == 0, plain.err);
  CHECK(has(plain.out, "a.ppm"));
  CHECK(has(plain.out, "LABEL_"));
  CHECK(plain.err.empty());  // no progress bar where there is no terminal

  const auto lines = bench.run(kClassify + "-i a.ppm -k 3 --json").lines();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0]["image"] == "a.ppm");
  REQUIRE(lines[0]["top"].size() == 3);
  CHECK(lines[0]["top"][0]["label"] == "LABEL_" + std::to_string(lines[0]["top"][0]["index"].get<int>()));
  CHECK(lines[0]["top"][0]["probability"] >= lines[0]["top"][1]["probability"]);
  for (const char* key : {"decode", "preprocess", "encode"}) CHECK(lines[0]["timing_ms"][key] >= 0.0);

  SUBCASE("the answer does not depend on threads, nor on how the pixels arrive") {
    const auto image = load_image(bench.path("a.ppm"));
    REQUIRE(image);
    REQUIRE(save_png(*image, bench.path("a.png")));
    const std::size_t shape[] = {32, 32, 3};
    REQUIRE(save_npy(bench.path("a.npy"), shape, std::span(image->row(0), image->size_bytes())));
    for (const std::string arguments : {"-i a.ppm -t 2", "-i a.png -t 1", "-i a.npy -t 3"}) {
      const auto again = bench.run(kClassify + arguments + " -k 3 --json").lines();
      REQUIRE(again.size() == 1);
      CHECK(again[0]["top"] == lines[0]["top"]);
    }
  }
  SUBCASE("labels of one's own") {
    std::ofstream(bench.path("five.txt")) << "one\ntwo\r\nthree\nvier ä\nfünf\n";
    std::ofstream(bench.path("four.txt")) << "one\ntwo\nthree\nfour\n";
    const Ran named = bench.run(kClassify + "-i a.ppm --labels five.txt");
    CHECK(named.exit_code == 0);
    CHECK(has(named.out, "vier ä"));
    CHECK_FALSE(has(named.out, "\r"));
    const Ran short_list = bench.run(kClassify + "-i a.ppm --labels four.txt");
    CHECK(short_list.exit_code == 1);
    CHECK(has(short_list.err, "4 labels, expected 5"));
    CHECK(bench.run(kClassify + "-i a.ppm --labels none.txt").exit_code == 1);
  }
  SUBCASE("f32 is near int8") {
    const auto f32 = bench.run(kClassify + "-i a.ppm -k 3 --json --dtype f32").lines();
    REQUIRE(f32.size() == 1);
    CHECK(f32[0]["top"][0]["probability"].get<double>() ==
          doctest::Approx(lines[0]["top"][0]["probability"].get<double>()).epsilon(0.1));
  }
}

TEST_CASE("a bad picture does not stop the others") {
  const Bench bench;
  fs::create_directory(bench.path("in"));
  bench.picture("in/a.ppm", 40, 30);
  std::ofstream(bench.path("in/b.jpg")) << "not a picture";
  bench.picture("in/c.PPM", 1, 1);
  std::ofstream(bench.path("in/notes.txt")) << "not looked at";
  const Ran plain = bench.run(kClassify + "-i in --save-logits l.npy --annotate sheet.png");
  CHECK(plain.exit_code == 1);
  CHECK(has(plain.err, "in/b.jpg"));
  CHECK(has(plain.out, "in/a.ppm"));
  CHECK(has(plain.out, "in/c.PPM"));
  CHECK_FALSE(has(plain.out + plain.err, "notes"));
  CHECK(has(read(bench.path("l.npy")), "'descr': '<f4', 'fortran_order': False, 'shape': (2, 5)"));
  CHECK(load_image(bench.path("sheet.png")));

  const auto lines = bench.run(kClassify + "-i in --json").lines();
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].contains("top"));
  CHECK(has(lines[1]["error"].get<std::string>(), "in/b.jpg"));
  CHECK(lines[2].contains("top"));
  CHECK(lines[2]["row"] == 1);  // of the logits

  const std::string kept = test::read(bench.path("l.npy"));
  CHECK(bench.run(kClassify + "-i in/b.jpg --save-logits l.npy").exit_code == 1);
  CHECK(test::read(bench.path("l.npy")) == kept);  // no answer takes the place of the last ones
  const Ran twice = bench.run(kClassify + "-i in/a.ppm --save-logits l.npy --annotate ./l.npy");
  CHECK(twice.exit_code == 1);
  CHECK(has(twice.err, "--annotate: found ./l.npy, which is a file of --save-logits"));

  fs::create_directory(bench.path("empty"));
  const Ran empty = bench.run(kClassify + "-i empty");
  CHECK(empty.exit_code == 1);
  CHECK(has(empty.err, "holds no pictures"));
}

TEST_CASE("odd pictures") {
  const Bench bench;
  bench.picture("tiny.ppm", 1, 1);
  bench.picture("wide.ppm", 30000, 2);
  bench.picture("tall.ppm", 1, 2000);
  CHECK(bench.run(kClassify + "-i tiny.ppm wide.ppm tall.ppm --annotate sheet.png").exit_code == 0);
  const auto two = test::noise(32 * 32 * 2, 1);
  const std::size_t shape[] = {32, 32, 2};
  REQUIRE(save_npy(bench.path("two.npy"), shape, two));
  const Ran ran = bench.run(kClassify + "-i two.npy");
  CHECK(ran.exit_code == 1);
  CHECK(has(ran.err, "(32, 32, 2)"));
  std::ofstream(bench.path("bad\xff name.ppm")) << "not a picture";
  CHECK(bench.run(kClassify + "-i 'bad\xff name.ppm' --json").lines().size() == 1);  // a name that is not UTF-8
  const Ran colour = bench.run(kClassify + "-i \"$(printf 'red\\033[31m.ppm')\"");
  CHECK(has(colour.err, "red?[31m.ppm"));  // what terminals obey is not shown to them
}

TEST_CASE("what cannot be written is an error") {
  const Bench bench;
  bench.picture("a.ppm", 32, 32);
  for (const std::string option : {"--save-logits", "--annotate"}) {
    CAPTURE(option);
    const Ran missing = bench.run(kClassify + "-i a.ppm " + option + " missing/out");
    CHECK(missing.exit_code == 1);
    CHECK(has(missing.err, "missing/out"));
    CHECK(bench.run(kClassify + "-i a.ppm " + option + " .").exit_code == 1);
    if (!fs::exists("/dev/full")) continue;
    const Ran full = bench.run(kClassify + "-i a.ppm " + option + " /dev/full");
    CHECK(full.exit_code == 1);
    CHECK(has(full.err, "/dev/full: cannot be written: No space left on device"));
  }
  CHECK(bench.run(kEmbed + "-i a.ppm -o missing/e.npy").exit_code == 1);
  CHECK(bench.run("patches -i a.ppm -P 8 -o missing/g.png").exit_code == 1);
  CHECK(bench.files() == 1);  // only a.ppm
}

TEST_CASE("patches") {
  const Bench bench;
  bench.picture("a.ppm", 48, 32);
  const auto lines = bench.run("patches -i a.ppm -P 8x16 --json --extract p.npy -o grid.png").lines();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0]["rows"] == 4);
  CHECK(lines[0]["columns"] == 3);
  CHECK(lines[0]["count"] == 12);
  CHECK(lines[0]["patch_size"] == 8 * 16 * 3);
  CHECK(load_image(bench.path("grid.png")));

  CHECK(bench.run("patches -P 8x16 --assemble p.npy -i a.ppm -o back.png").exit_code == 0);
  CHECK(bench.run("patches -P 8x16 --assemble p.npy --size 32x48 -o back2.png").exit_code == 0);
  const auto original = load_image(bench.path("a.ppm"));
  REQUIRE(original);
  for (const char* name : {"back.png", "back2.png"}) {
    const auto back = load_image(bench.path(name));
    REQUIRE(back);
    REQUIRE(back->size_bytes() == original->size_bytes());
    CHECK(std::equal(back->row(0), back->row(0) + back->size_bytes(), original->row(0)));
  }

  // Token 4 is the patch at (8, 16): each of its pixels is a square to the right of the grid.
  CHECK(bench.run("patches -i a.ppm -P 8x16 --token 4 -o token.png").exit_code == 0);
  const auto drawn = load_image(bench.path("token.png")), grid_alone = load_image(bench.path("grid.png"));
  REQUIRE(drawn);
  REQUIRE(grid_alone);
  for (int y = 8; y < 16; ++y)
    for (int x = 16; x < 32; ++x) {
      CAPTURE(x);
      CAPTURE(y);
      const std::uint8_t* wanted = original->row(y) + 3 * x;
      int squares = 0;
      for (int i = 0; i + 5 <= drawn->height(); ++i)
        for (int j = grid_alone->width() + 24; j + 5 <= drawn->width(); ++j) {
          bool same = true;
          for (int k = 0; same && k < 25; ++k)
            same = std::equal(wanted, wanted + 3, drawn->row(i + k / 5) + 3 * (j + k % 5));
          squares += same;
        }
      CHECK(squares >= 1);
    }
  const Ran beyond = bench.run("patches -i a.ppm -P 8x16 --token 12 -o beyond.png");
  CHECK(beyond.exit_code == 1);
  CHECK(has(beyond.err, "--token: found 12, expected 0 to 11"));
  CHECK_FALSE(fs::exists(bench.path("beyond.png")));
  const auto says = [&](const std::string& arguments, int exit_code, const char* text) {
    CHECK(has(refusal(bench, "patches " + arguments, exit_code), text));
  };
  says("-i a.ppm -P 8x16 --token -1 -o beyond.png", 2, "--token");
  says("-i a.ppm -P 8x16 --token 1", 2, "--token needs -o");
  says("-i a.ppm -P 8x16 --size 3", 2, "--size needs --assemble");
  // A large patch is drawn with smaller squares, down to its pixels, and no picture is larger than others may be.
  REQUIRE(bench.run("patches -i a.ppm -P 2048 --pad --token 0 -o large.png").exit_code == 0);
  const auto large = load_image(bench.path("large.png"));
  REQUIRE(large);
  CHECK(large->width() < 2048 + 4096 + 100);
  CHECK(large->height() < 4096 + 100);
  bench.picture("wide.ppm", 32000, 1000);
  const Ran too_wide = bench.run("patches -i wide.ppm -P 1000 --token 0 -o beyond.png");
  CHECK(too_wide.exit_code == 1);
  CHECK(has(too_wide.err, "--token: found "));
  CHECK_FALSE(fs::exists(bench.path("beyond.png")));

  const Ran refused = bench.run("patches -i a.ppm -P 7");
  CHECK(refused.exit_code == 1);
  CHECK(has(refused.err, "--pad or --crop"));
  CHECK(bench.run("patches -i a.ppm -P 7 --pad -o g.png").exit_code == 0);
  CHECK(bench.run("patches -i a.ppm -P 7 --crop -o g.png").exit_code == 0);
  CHECK(bench.run("patches -i a.ppm -P 16 --stride 8 -o g.png").exit_code == 0);
  says("-i a.ppm -P 7 --crop --pad", 2, "--pad and --crop exclude each other");
  for (const char* size : {"0", "-3", "8x", "x8", "8x8x8", "99999", "eight"}) {
    CAPTURE(size);
    CHECK(bench.run(std::string("patches -i a.ppm -P ") + size).exit_code == 2);
  }
  says("-P 16", 2, "-i IMAGE is required");
  says("-i a.ppm a.ppm -P 16", 2, "-i takes one picture here");
  says("-P 16 --assemble p.npy -o b.png", 2, "--assemble needs the picture's size");
  says("-P 16 --assemble p.npy --size 32x48", 2, "--assemble needs -o");
  says("-P 16 --assemble p.npy --size 32x48 -o b.png --extract q.npy", 2,
       "--assemble and --extract exclude each other");
  says("-P 16 --assemble p.npy --size 32x48 -o b.png", 1, "patches of 384 bytes, expected 16 squared or HxW times");
  says("-P 8x16 --assemble p.npy --size 64x48 -o b.png", 1, "12 patches, expected 24 for a picture of 64 × 48");
  says("-P 8x16 --assemble a.ppm --size 32x48 -o b.png", 1, "a.ppm");  // not an array
  CHECK_FALSE(fs::exists(bench.path("b.png")));
}

TEST_CASE("info") {
  const Bench bench;
  const auto model = bench.run("info -m " + quoted(kModel) + " --json").lines();
  REQUIRE(model.size() == 1);
  CHECK(model[0]["num_labels"] == 5);
  CHECK(model[0]["embed_dim"] == 64);
  CHECK(!model[0]["kernels"].empty());
  const Ran machine = bench.run("info");
  CHECK_MESSAGE(machine.exit_code == 0, machine.err);
  CHECK(has(machine.out, "cpu"));
  const Ran missing = bench.run("info -m missing");
  CHECK(missing.exit_code == 1);
  CHECK(has(missing.err, "missing"));
}

TEST_CASE("bench") {
  const Bench bench;
  const auto lines = bench.run("bench -m " + quoted(kModel) + " --runs 3 -t 1 --batch 2 --json").lines();
  REQUIRE(lines.size() == 2);
  CHECK(lines[0]["dtype"] == "int8");
  CHECK(lines[1]["dtype"] == "f32");
  CHECK(lines[0]["f32_median_ms"] == lines[1]["median_ms"]);
  CHECK(lines[0]["speedup_over_f32"] > 0.0);
  for (const json& line : lines) {
    for (const char* key : {"median_ms", "min_ms", "p99_ms", "macs", "gmacs_per_s", "peak_gmacs_per_s", "of_peak",
                            "threads", "batch", "of_one_by_one", "kernels", "cpu"}) {
      CAPTURE(key);
      CHECK(line.contains(key));
    }
    CHECK(line["min_ms"] <= line["median_ms"]);
    CHECK(line["median_ms"] <= line["p99_ms"]);
    CHECK(line["runs"] == 3);
  }
  const auto profiled = bench.run("bench -m " + quoted(kModel) +
                                  " --runs 2 --dtype int8 --outputs logits -t 1 --profile --trace t.json --json");
  REQUIRE(profiled.lines().size() == 1);
  const json measured = profiled.lines()[0];
  CHECK_FALSE(measured.contains("of_one_by_one"));
  double spent = 0;
  std::uint64_t macs = 0;
  for (const json& operation : measured["operations"]) {
    spent += operation["ms"].get<double>();
    macs += operation["macs"].get<std::uint64_t>();
  }
  CHECK(spent > 0);
  CHECK(macs == measured["macs"]);
  const json trace = json::parse(read(bench.path("t.json")));
  CHECK(trace["traceEvents"].size() > 10);
  for (const json& event : trace["traceEvents"]) {
    CHECK(event["ph"] == "X");
    CHECK(event["dur"] >= 0.0);
  }
  CHECK(bench.run("bench -m " + quoted(kModel) + " --runs 1 --trace missing/t.json").exit_code == 1);
  CHECK(has(bench.run("bench -m " + quoted(kModel) + " --runs 1 --profile").out, "fc1"));
  const Ran one = bench.run("bench -m " + quoted(kModel) + " --runs 1 --dtype f32 -t 1");
  CHECK(one.exit_code == 0);
  CHECK(has(one.out, "f32"));
  CHECK_FALSE(has(one.out, "int8 is"));
  const json whole = bench.run("bench -m " + quoted(kModel) + " --runs 1 --dtype int8 --json").lines()[0];
  CHECK(measured["outputs"] == "logits");
  CHECK(measured["macs"] < whole["macs"]);
  const Ran refused = bench.run("bench -m " + quoted(kHeadless) + " --runs 1 --outputs logits");
  CHECK(refused.exit_code == 1);
  CHECK(has(refused.err, "--outputs: found logits, of a network without a classification head"));
  CHECK(bench.run("bench --arch lenet5 --runs 1").exit_code == 1);
  CHECK(bench.run("bench --arch vit_tiny_patch16_224 -m x").exit_code == 2);
}
