// The commands of `vitrail` that show what is inside a network, or write it: embed, similar, attention, features, mae.
#include <cstring>

#include "tests/support/golden.hpp"
#include "tests/support/program.hpp"
#include "tests/support/tiny_networks.hpp"
#include "vitrail/codecs.hpp"
#include "vitrail/vitrail.hpp"

using namespace vitrail;
using namespace vitrail::test;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

/// A safetensors file: header and elements.
struct Stored {
  explicit Stored(const fs::path& path) {
    const std::string file = test::read(path);
    std::uint64_t length = 0;
    std::memcpy(&length, file.data(), sizeof length);
    REQUIRE(8 + length <= file.size());
    REQUIRE(length % 8 == 0);
    header = json::parse(file.substr(8, length));
    elements = file.substr(8 + length);
  }
  std::vector<float> values(const std::string& name) const {
    const auto range = header.at(name).at("data_offsets");
    const std::size_t first = range[0], last = range[1];
    std::vector<float> out((last - first) / sizeof(float));
    std::memcpy(out.data(), elements.data() + first, last - first);
    return out;
  }
  json header;
  std::string elements;
};

Image picture_of(const Bench& bench, const std::string& name) {
  auto image = load_image(bench.path(name));
  REQUIRE(image);
  return *std::move(image);
}

}  // namespace

TEST_CASE("embed: one array") {
  const Bench bench;
  bench.picture("a.ppm", 32, 32);
  bench.picture("b.ppm", 50, 40);
  const struct {
    const char *what, *shape;
  } cases[] = {{"cls", "(2, 64)"},
               {"x_norm_clstoken", "(2, 64)"},
               {"pooled", "(2, 64)"},
               {"logits", "(2, 5)"},
               {"tokens", "(2, 17, 64)"},
               {"last_hidden_state", "(2, 17, 64)"},
               {"patch_tokens", "(2, 16, 64)"},
               {"grid", "(2, 4, 4, 64)"},
               {"patch_embed", "(2, 16, 64)"},
               {"hidden_states", "(2, 2, 17, 64)"},
               {"get_intermediate_layers --layers 0", "(2, 1, 17, 64)"},
               {"attentions", "(2, 1, 2, 17, 17)"},
               {"attentions --layers 0", "(2, 1, 2, 17, 17)"}};
  for (const auto& expected : cases) {
    CAPTURE(expected.what);
    const Ran ran = bench.run(kEmbed + "-i a.ppm b.ppm -o e.npy --output " + expected.what);
    CHECK_MESSAGE(ran.exit_code == 0, ran.err);
    CHECK(has(read(bench.path("e.npy")), std::string("'shape': ") + expected.shape));
    fs::remove(bench.path("e.npy"));
  }
  CHECK(bench.run(kEmbed + "-i a.ppm").exit_code == 2);
  const Ran failed = bench.run(kEmbed + "-i none.png -o e.npy");
  CHECK(failed.exit_code == 1);
  CHECK_FALSE(fs::exists(bench.path("e.npy")));

  bench.run("embed -m " + quoted(kHeadless) + " -i a.ppm -o e.npy");
  CHECK(fs::exists(bench.path("e.npy")));
  const Ran no_head = bench.run("classify -m " + quoted(kHeadless) + " -i a.ppm");
  CHECK(no_head.exit_code == 1);
  CHECK(has(no_head.err, "no classification head"));
}

TEST_CASE("embed: many outputs in one safetensors file") {
  const Bench bench;
  bench.picture("a.ppm", 32, 32);
  bench.picture("b.ppm", 50, 40, 2);
  const std::string wanted = "--output cls,logits,grid,intermediate_layers,attentions --layers 0 ";
  const Ran ran = bench.run(kEmbed + "-i a.ppm b.ppm -o e.safetensors --json " + wanted);
  CHECK_MESSAGE(ran.exit_code == 0, ran.err);
  CHECK(ran.err.empty());
  const auto lines = ran.lines();
  REQUIRE(lines.size() == 2);
  CHECK(lines[1]["image"] == "b.ppm");
  CHECK(lines[1]["row"] == 1);
  CHECK(lines[1]["shape"]["grid"] == json({4, 4, 64}));

  const Stored stored(bench.path("e.safetensors"));
  CHECK(stored.header["__metadata__"]["images"] == "[\"a.ppm\",\"b.ppm\"]");
  CHECK(stored.header["cls"]["dtype"] == "F32");
  CHECK(stored.header["cls"]["shape"] == json({2, 64}));
  CHECK(stored.header["attentions"]["shape"] == json({2, 1, 2, 17, 17}));
  CHECK(stored.header.size() == 6);
  // The library's own answer for the second picture.
  auto session = Model::load(kModel).value().session({.outputs = Outputs::standard, .layers = {0}}).value();
  const Image image = picture_of(bench, "b.ppm");
  const Output out = session.run(image).value();
  const auto second = [&](const std::string& name, std::span<const float> expected) {
    CAPTURE(name);
    const auto values = stored.values(name);
    REQUIRE(values.size() == 2 * expected.size());
    CHECK(std::equal(expected.begin(), expected.end(), values.begin() + static_cast<std::ptrdiff_t>(expected.size())));
  };
  second("cls", out.cls);
  second("logits", out.logits);
  second("grid", out.patch_tokens());
  second("intermediate_layers", out.intermediate_layers);

  SUBCASE("a file that cannot be written leaves the old one, and one picture that fails leaves the others") {
    const std::string before = test::read(bench.path("e.safetensors"));
    const Ran failed = bench.run(kEmbed + "-i none.png -o e.safetensors");
    CHECK(failed.exit_code == 1);
    CHECK(test::read(bench.path("e.safetensors")) == before);
    const Ran partly = bench.run(kEmbed + "-i none.png a.ppm -o e.safetensors");
    CHECK(partly.exit_code == 1);
    CHECK(Stored(bench.path("e.safetensors")).header["cls"]["shape"] == json({1, 64}));
  }
  SUBCASE("wrong usage") {
    const auto says = [&](const std::string& arguments, int exit_code, const char* text) {
      const Ran wrong = bench.run(kEmbed + "-i a.ppm " + arguments);
      CAPTURE(wrong.err);
      CHECK(wrong.exit_code == exit_code);
      CHECK(has(wrong.err, text));
    };
    says("-o x.npy --output words", 2, "--output: found words, expected some of logits");
    says("-o x.npy --output cls,logits", 2, "found x.npy, expected a name that ends in .safetensors");
    says("-o x.safetensors --output cls,cls", 2, "found cls twice");
    says("-o x.npy --output intermediate_layers", 1,
         "--layers: found none, expected the blocks of --output intermediate_layers");
    says("-o x.npy --output intermediate_layers --layers -1", 1, "--layers: found -1, expected 0 to 0");
    says("-o x.npy --output attentions --layers 999", 1, "--layers: found 999, expected 0 to 0");
    says("-o x.npy --output registers", 1,
         "--output: found registers, which this network (vit) does not have, expected some of logits");
    says("-o x.npy --output image_embeds", 1, "--output: found image_embeds");
    says("-o missing/x.npy", 1, "there is no folder missing");
    says("-o x.npy --layers 0", 2, "--layers: found without an output that has layers");
    says("-o x.npy --no-norm --output attentions", 2, "--no-norm: found without the output it is for");
    CHECK_FALSE(fs::exists(bench.path("x.npy")));
  }
}

TEST_CASE("embed: a safetensors file whose text needs escapes") {
  const Bench bench;
  const std::vector<float> values = {1, -2, 0.5f};
  const NamedArray arrays[] = {
      {"a\"b\\\n", {3}, values}, {"empty", {0, 4}, {}}, {"scalar", {}, std::span(values).first(1)}};
  const std::pair<std::string, std::string> metadata[] = {{"k", "v\t"}};
  REQUIRE(save_safetensors(bench.path("f.safetensors"), arrays, metadata));
  const Stored stored(bench.path("f.safetensors"));
  CHECK(stored.values("a\"b\\\n") == values);
  CHECK(stored.header["empty"]["shape"] == json({0, 4}));
  CHECK(stored.header["scalar"]["shape"] == json::array());
  CHECK(stored.header["__metadata__"]["k"] == "v\t");
  CHECK(stored.elements.size() == 16);
  const NamedArray wrong[] = {{"a", {4}, values}};
  const auto bad = save_safetensors(bench.path("g.safetensors"), wrong);
  REQUIRE_FALSE(bad);
  CHECK(has(bad.error().message, "\"a\": 3 elements do not fill the shape [4]"));
  CHECK_FALSE(fs::exists(bench.path("g.safetensors")));
}

TEST_CASE("embed: what a network has") {
  const Bench bench;
  bench.picture("a.ppm", 32, 32);
  const auto embed = [&](const std::string& family, const std::string& arguments) {
    const GoldenModel golden(fs::path(kGoldens) / "families" / family);
    return bench.run("embed -m " + quoted(golden.folder().string()) + " -i a.ppm a.ppm -o e.safetensors " + arguments);
  };
  const Ran no_cls = embed("ijepa", "");  // said once, not of each picture
  CHECK(no_cls.exit_code == 1);
  CHECK(
      no_cls.err.starts_with("vitrail: --output: found cls, which this network (ijepa) does not have, expected some of "
                             "pooled [D] (or pooler_output), tokens"));
  CHECK(no_cls.lines().empty());
  CHECK(embed("siglip", "").exit_code == 1);
  for (const auto& [family, outputs] : {std::pair("ijepa_labels", "logits,pooled"), std::pair("siglip", "pooled"),
                                        std::pair("clip", "cls,image_embeds"),
                                        std::pair("dinov2_registers", "cls,registers"), std::pair("beit", "cls")}) {
    CAPTURE(family);
    const Ran ran = embed(family, std::string("--output ") + outputs);
    CHECK_MESSAGE(ran.exit_code == 0, ran.err);
    const Stored stored(bench.path("e.safetensors"));
    for (const auto& [name, array] : stored.header.items())
      if (name != "__metadata__") CHECK(array["data_offsets"][1] > array["data_offsets"][0]);
  }
}

TEST_CASE("similar") {
  const Bench bench;
  fs::create_directory(bench.path("all"));
  bench.picture("all/a.ppm", 32, 32, 1);
  bench.picture("all/b.ppm", 32, 32, 2);
  bench.picture("all/c.ppm", 40, 50, 3);
  fs::copy_file(bench.path("all/b.ppm"), bench.path("all/copy.ppm"));
  const std::string similar = "similar -m " + quoted(kModel) + " ";
  const Ran table = bench.run(similar + "-i all/b.ppm all -o sheet.png");
  CHECK_MESSAGE(table.exit_code == 0, table.err);
  CHECK(has(table.out, "1  all/copy.ppm  1.0000"));
  CHECK_FALSE(has(table.out, "all/b.ppm"));  // not a neighbour of itself
  CHECK(picture_of(bench, "sheet.png").width() > 500);

  const auto lines = bench.run(similar + "-i all/b.ppm all -k 2 --json --output cls").lines();
  REQUIRE(lines.size() == 2);
  CHECK(lines[0]["neighbour"] == "all/copy.ppm");
  CHECK(lines[0]["similarity"] == 1.0);
  CHECK(lines[1]["rank"] == 2);
  CHECK(lines[1]["similarity"] <= lines[0]["similarity"]);

  const Ran alone = bench.run(similar + "-i all/b.ppm");
  CHECK(alone.exit_code == 1);
  CHECK(has(alone.err, "found one picture"));
  const Ran same = bench.run(similar + "-i all/b.ppm all/b.ppm all/../all/b.ppm");
  CHECK(same.exit_code == 1);
  CHECK(has(same.err, "found one picture"));
  CHECK(bench.run(similar + "-i all/b.ppm all all/a.ppm all --json").lines().size() == 3);
  fs::create_hard_link(bench.path("all/b.ppm"), bench.path("b again.ppm"));
  CHECK(bench.run(similar + "-i all/b.ppm 'b again.ppm' all/a.ppm --json").lines().size() == 1);
  CHECK(bench.run(similar + "-i none.ppm all").exit_code == 1);
  CHECK(bench.run(similar + "-i all/b.ppm all --output words").exit_code == 2);
  const Ran missing = bench.run(similar + "-i all/b.ppm all --output image_embeds");
  CHECK(missing.exit_code == 1);
  CHECK(has(missing.err,
            "--output: found image_embeds, which this network (vit) does not have, expected one of pooled, cls"));
}

TEST_CASE("attention") {
  const Bench bench;
  bench.picture("a.ppm", 32, 32);
  bench.picture("b.ppm", 50, 40, 2);
  const std::string attention = "attention -m " + quoted(kModel) + " --dtype f32 -i a.ppm b.ppm ";
  const Ran rollout = bench.run(attention + "-o r.png --save-weights r.npy --json");
  CHECK_MESSAGE(rollout.exit_code == 0, rollout.err);
  REQUIRE(rollout.lines().size() == 2);
  CHECK(rollout.lines()[0]["rows"] == 4);
  // Both pictures and their maps, 32 pixels enlarged seven times, and margins.
  const Image drawn = picture_of(bench, "r.png");
  CHECK(drawn.width() == 3 * 16 + 2 * 224);
  CHECK(drawn.height() == 30 + 3 * 16 + 2 * 224);

  REQUIRE(bench.run(attention + "-o h.png --layer 0 --head 1 --save-weights h.npy").exit_code == 0);
  REQUIRE(bench.run(attention + "-o l.png --layer 0 --save-weights l.npy").exit_code == 0);
  const auto head = read_npy<float>(bench.path("h.npy")), layer = read_npy<float>(bench.path("l.npy")),
             rolled = read_npy<float>(bench.path("r.npy"));
  CHECK(head.shape == std::vector<std::int64_t>{2, 4, 4});
  LoadOptions f32;
  f32.dtype = DType::f32;
  auto session = Model::load(kModel, f32).value().session({.outputs = Outputs::attentions}).value();
  const Image image = picture_of(bench, "b.ppm");
  const auto maps = session.run(image).value().attentions;  // [1, 1, 2, 17, 17]: one block
  for (std::size_t i = 0; i < 16; ++i) {
    const double first = maps[1 + i], second = maps[17 * 17 + 1 + i];  // CLS to patch i
    CHECK(head.values[16 + i] == doctest::Approx(second));
    CHECK(layer.values[16 + i] == doctest::Approx((first + second) / 2));
    CHECK(rolled.values[16 + i] == doctest::Approx((first + second) / 4));  // half of CLS stays with CLS
  }

  const auto says = [&](const std::string& arguments, int exit_code, const char* text) {
    const std::string said = refusal(bench, attention + arguments, exit_code);
    CHECK_MESSAGE(has(said, text), said);
  };
  says("-o x.png --layer -1", 1, "--layer: found -1, expected 0 to 0");
  says("-o x.png --layer 999", 1, "--layer: found 999, expected 0 to 0");
  says("-o x.png --layer 0 --head 2", 1, "--head: found 2, expected 0 to 1");
  says("-o x.png --head 0", 2, "--layer");
  says("-o missing/x.png", 1, "there is no folder missing");
  says("-o x.png --save-weights x.png", 1, "--save-weights: found x.png, which is a file of -o");
  says("", 2, "-o");
}

TEST_CASE("--always-preprocess: pictures of the network's size are resized and cropped, too, and shown so") {
  const Bench bench;
  TinyFolder timm;  // the middle of 35 × 35
  make_timm(timm);
  const Model loaded = Model::load(timm.write()).value();
  bench.picture("own.ppm", 32, 32);
  const Image own = picture_of(bench, "own.ppm");
  Preprocessor preprocessor(loaded.info().preprocess, 3);
  const ImageView prepared = preprocessor.run(own).value();
  REQUIRE(std::memcmp(prepared.data, own.row(0), 3) != 0);
  std::vector<std::vector<float>> answers;
  const std::string model = "-m " + quoted(timm.dir.path().string()) + " ";
  for (const bool always : {false, true}) {
    CAPTURE(always);
    const std::string option = always ? "--always-preprocess " : "";
    REQUIRE(bench.run("embed " + model + option + "-i own.ppm -o e.npy").exit_code == 0);
    const auto found = read_npy<float>(bench.path("e.npy"));
    auto session = loaded.session({.always_preprocess = always}).value();
    const auto expected = session.run(own).value().cls;
    CHECK(std::equal(expected.begin(), expected.end(), found.values.begin(), found.values.end()));
    answers.push_back(found.values);
    REQUIRE(bench.run("features " + model + option + "-i own.ppm -o f.png").exit_code == 0);
    const Image drawn = picture_of(bench, "f.png");
    const std::uint8_t* corner = drawn.row(30 + 16) + 3 * 16;
    CHECK(std::memcmp(corner, always ? prepared.data : own.row(0), 3) == 0);
  }
  CHECK(answers[0] != answers[1]);
}

TEST_CASE("features") {
  const Bench bench;
  bench.picture("a.ppm", 32, 32);
  bench.picture("b.ppm", 50, 40, 2);
  const std::string features = "features -m " + quoted(kModel) + " -i a.ppm b.ppm ";
  const Ran ran = bench.run(features + "-o f.png --json");
  CHECK_MESSAGE(ran.exit_code == 0, ran.err);
  REQUIRE(ran.lines().size() == 1);
  const json line = ran.lines()[0];
  CHECK(line["rows"] == 4);
  REQUIRE(line["explained_variance"].size() == 3);
  CHECK(line["explained_variance"][0] >= line["explained_variance"][1]);
  CHECK(line["explained_variance"][1] >= line["explained_variance"][2]);
  CHECK(line["explained_variance"][2] > 0.0);
  const Image drawn = picture_of(bench, "f.png");
  CHECK(drawn.height() == 30 + 3 * 16 + 2 * 224);
  CHECK(has(bench.run(features + "-o f.png").out, "% of their variance"));
  CHECK(bench.run(features + "-o missing/f.png").exit_code == 1);
  std::string many;
  for (int i = 0; i < 62; ++i) many += " a.ppm";
  const Ran tall = bench.run(features + many + " -o f.png --size 512x8");
  CHECK(tall.exit_code == 1);
  CHECK(has(tall.err, "-i: found 64 pictures, expected at most 61 of 512 pixels' height"));
  CHECK(bench.run(features).exit_code == 2);
}

TEST_CASE("mae") {
  const Bench bench;
  const GoldenModel golden(fs::path(kGoldens) / "mae" / "plain");
  bench.picture("a.ppm", 48, 48);
  const std::string mae = "mae -m " + quoted(golden.folder().string()) + " -i a.ppm ";
  const Ran ran = bench.run(mae + "-o m.png --json");
  CHECK_MESSAGE(ran.exit_code == 0, ran.err);
  REQUIRE(ran.lines().size() == 1);
  CHECK(ran.lines()[0]["image"] == "a.ppm");
  CHECK(ran.lines()[0]["patches"] == 36);
  CHECK(ran.lines()[0]["visible"] == 9);  // mask_ratio 0.75
  const Image drawn = picture_of(bench, "m.png");
  CHECK(drawn.width() == 4 * 16 + 3 * 192);  // 48 pixels enlarged four times

  const std::string info = "info -m " + quoted(golden.folder().string());
  CHECK(has(bench.run(info).out, "trained with 75 % hidden"));
  CHECK(bench.run(info + " --json").lines().at(0).at("mask_ratio") == 0.75);
  const std::string first = test::read(bench.path("m.png"));
  REQUIRE(bench.run(mae + "-o again.png").exit_code == 0);
  CHECK(test::read(bench.path("again.png")) == first);
  REQUIRE(bench.run(mae + "-o other.png --seed 2").exit_code == 0);
  CHECK(test::read(bench.path("other.png")) != first);
  CHECK(bench.run(mae + "-o m.png --mask-ratio 0.5 --json").lines()[0]["visible"] == 18);

  // A mask that hides the left half: whole = the picture on the right.
  std::vector<std::uint8_t> mask(36);
  for (std::size_t i = 0; i < 36; ++i) mask[i] = i % 6 < 3;
  const std::size_t shape[] = {6, 6};
  REQUIRE(save_npy(bench.path("mask.npy"), shape, mask));
  REQUIRE(bench.run(mae + "-o m.png --mask mask.npy").exit_code == 0);
  const Image half = picture_of(bench, "m.png"), source = picture_of(bench, "a.ppm");
  const std::uint8_t* pixel = half.row(30 + 16 + 4 * 5) + 3 * (3 * 16 + 2 * 192 + 4 * 40);
  CHECK(std::memcmp(pixel, source.row(5) + 3 * 40, 3) == 0);

  const auto says = [&](const std::string& arguments, int exit_code, const char* text) {
    const Ran wrong = bench.run(arguments);
    CAPTURE(wrong.err);
    CHECK(wrong.exit_code == exit_code);
    CHECK(has(wrong.err, text));
  };
  const std::size_t shorter[] = {35};
  REQUIRE(save_npy(bench.path("short.npy"), shorter, std::span(mask).first(35)));
  says(mae + "-o x.png --mask short.npy", 1, "short.npy: found shape [35], expected [36] or [6,6]");
  const std::size_t wide[] = {4, 9};
  REQUIRE(save_npy(bench.path("wide.npy"), wide, mask));
  says(mae + "-o x.png --mask wide.npy", 1, "wide.npy: found shape [4,9]");
  mask[3] = 7;
  REQUIRE(save_npy(bench.path("seven.npy"), shape, mask));
  says(mae + "-o x.png --mask seven.npy", 1, "seven.npy: found 7, expected 0 (seen) and 1 (hidden)");
  says(mae + "-o x.png --mask mask.npy --seed 2", 2, "--seed");
  says(mae + "-o x.png --mask-ratio 2", 2, "--mask-ratio");
  says(mae + "-o x.png --mask-ratio nan", 2, "--mask-ratio: found nan, expected 0 to 1");
  says("mae -m " + quoted(kModel) + " -i a.ppm -o x.png", 1, "vit has no decoder");
  CHECK_FALSE(fs::exists(bench.path("x.png")));
}
