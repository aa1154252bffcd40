// What the program refuses, and in which words: nothing is answered that was not asked, and no file is lost.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/support/program.hpp"
#include "tests/support/tiny_networks.hpp"

using namespace vitrail::test;
namespace fs = std::filesystem;

TEST_CASE("an empty text is no argument") {
  const Bench bench;
  bench.picture("a.ppm", 32, 32);
  for (const std::string arguments : {"bench --runs 1 -m ''",
                                      "info -m ''",
                                      "classify -i a.ppm -m ''",
                                      "classify -m x -i ''",
                                      "classify -m x -i a.ppm ''",
                                      "classify -m x -i a.ppm -k ''",
                                      "classify -m x -i a.ppm --labels ''",
                                      "classify -m x -i a.ppm --save-logits ''",
                                      "classify -m x -i a.ppm --annotate ''",
                                      "classify -m x -i a.ppm --threads ''",
                                      "classify -m x -i a.ppm --size ''",
                                      "embed -m x -i a.ppm -o x.npy --output intermediate_layers --layers ''",
                                      "embed -m x -i a.ppm -o ''",
                                      "attention -m x -i a.ppm -o x.png --layer ''",
                                      "attention -m x -i a.ppm -o x.png --layer 0 --head ''",
                                      "attention -m x -i a.ppm -o x.png --save-weights ''",
                                      "mae -m x -i a.ppm -o x.png --mask ''",
                                      "mae -m x -i a.ppm -o x.png --seed ''",
                                      "patches -i a.ppm --extract ''",
                                      "plan -o ''"}) {
    const std::string said = refusal(bench, arguments, 2);
    CHECK_MESSAGE(has(said, ": found an empty text, expected "), said);
  }
  CHECK(has(refusal(bench, "info -m ''", 2), "--model: found an empty text, expected MODEL"));
}

TEST_CASE("no output takes the place of an input, of a model's file or of another output") {
  const Bench bench;
  bench.picture("a.ppm", 32, 32);
  std::ofstream(bench.path("five.txt")) << "one\ntwo\nthree\nfour\nfive\n";
  fs::copy(kModel, bench.path("model"));
  const std::string picture = read(bench.path("a.ppm")), on = " -m model -i a.ppm ";
  const auto says = [&](const std::string& arguments, const std::string& text) {
    const std::string said = refusal(bench, arguments, 1);
    CHECK_MESSAGE(has(said, text + ", expected another one"), said);
  };
  says("attention" + on + "-o a.ppm", "-o: found a.ppm, which is a file of -i");
  says("features -m model -i . -o ./a.ppm", "-o: found ./a.ppm, which is a file of -i");
  says("patches -i a.ppm -P 8 -o a.ppm", "-o: found a.ppm, which is a file of -i");
  says("classify" + on + "--annotate a.ppm", "--annotate: found a.ppm, which is a file of -i");
  says("classify" + on + "--labels five.txt --save-logits five.txt", "which is a file of --labels");
  says("embed" + on + "-o model/model.safetensors", "model/model.safetensors, which is a file of -m");
  says("bench -m model --runs 1 --trace model/config.json", "--trace: found model/config.json, which is a file of -m");
  says("classify" + on + "--save-logits x.npy --annotate ./x.npy", "./x.npy, which is a file of --save-logits");
  CHECK(read(bench.path("a.ppm")) == picture);
  CHECK_FALSE(fs::exists(bench.path("x.npy")));
  // What is no file can be named twice, and an answer may lie in a model's folder and be made again.
  CHECK(bench.run("classify" + on + "--save-logits /dev/null --annotate /dev/null").exit_code == 0);
  for (int i = 0; i < 2; ++i) CHECK(bench.run("embed" + on + "-o model/e.npy").exit_code == 0);
}

TEST_CASE("a program that is killed while it writes leaves nothing behind") {
#ifdef O_TMPFILE
  const Bench bench;
  bench.picture("a.ppm", 32, 32);
  const int nameless = open(bench.folder.path().c_str(), O_TMPFILE | O_WRONLY, 0600);
  if (nameless < 0) return;  // this file system has no files without a name
  close(nameless);
  const std::string killed_at_1_kb =
      "exec 2>/dev/null; cd '" + bench.folder.path().string() + "' && ulimit -c 0 && ulimit -f 1 && ";
  CHECK(
      std::system((killed_at_1_kb + "'" VITRAIL_PROGRAM "' " + kEmbed + "-i a.ppm --output tokens -o e.npy").c_str()));
  CHECK(bench.files() == 1);
#endif
}

TEST_CASE("who reads JSON reads what went wrong, too") {
  const Bench bench;
  bench.picture("a.ppm", 32, 32);
  const auto says = [&](const std::string& arguments, int exit_code, const char* text) {
    const Ran ran = bench.run(arguments + " --json");
    CAPTURE(arguments);
    CHECK(ran.exit_code == exit_code);
    REQUIRE(ran.lines().size() == 1);
    CHECK(has(ran.lines()[0]["error"].get<std::string>(), text));
    CHECK(has(ran.err, text));
  };
  says("classify -m none -i a.ppm", 1, "none: no such folder");
  says("info -m none", 1, "none: no such folder");
  says("patches -i a.ppm -P 7", 1, "--pad or --crop");
  says("plan --size 100 --patch 16", 1, "--size: height 100");
  says("plan --size wide", 2, "--size: found wide");
  says(kEmbed + "-i a.ppm -o e.npy --output words", 2, "--output: found words");
  says("paint", 2, "found paint, expected one of classify");
  CHECK(has(bench.run("info --json --help").out, "Usage: vitrail info"));
}

TEST_CASE("a model that cannot be examined is not one that is not there") {
  const Bench bench;
  fs::create_directory(bench.path("model"));
  fs::create_symlink("config.json", bench.path("model/config.json"));  // refused as a folder of somebody else's is
  fs::create_symlink("loop", bench.path("loop"));
  CHECK(has(refusal(bench, "info -m model", 1), "model: config.json cannot be examined: Too many levels"));
  CHECK(has(refusal(bench, "info -m loop", 1), "loop: cannot be examined: Too many levels"));
}

TEST_CASE("labels: the system's reason, an end, and nothing that terminals obey") {
  const Bench bench;
  bench.picture("a.ppm", 32, 32);
  const std::string classify = kClassify + "-i a.ppm --labels ";
  CHECK(has(refusal(bench, classify + "none.txt", 1), "none.txt: cannot be opened: No such file"));
  if (fs::exists("/dev/zero")) CHECK(has(refusal(bench, classify + "/dev/zero", 1), "is larger than 16 MiB"));
  std::ofstream(bench.path("red.txt")) << "\033[31m1\n\033[31m2\n\033[31m3\n\033[31m4\n\033[31m5\n";
  const Ran red = bench.run(classify + "red.txt");
  CHECK(red.exit_code == 0);
  CHECK(has(red.out, "?[31m"));
  CHECK_FALSE(has(red.out, "\033"));
  // A mark at the start, letters of all lengths, a C1 control, a turn of the direction, a byte that is no UTF-8.
  std::ofstream(bench.path("odd.txt")) << "\xef\xbb\xbf"
                                          "a\nb\xc2\x9b"
                                          "c\nd\xe2\x80\xae"
                                          "e\nÅ€😀\nf\xff\n";
  const Ran odd = bench.run(classify + "odd.txt -k 5");
  CHECK(odd.exit_code == 0);
  for (const char* label : {"  a", "b?c", "d?e", "Å€😀", "f?"}) CHECK(has(odd.out, label));
  CHECK_FALSE(has(odd.out, "\xef\xbb\xbf"));
}

TEST_CASE("a network whose weights lead out of f32 gives no answer") {
  const Bench bench;
  bench.picture("a.ppm", 32, 32);
  TinyFolder folder;
  make_huggingface(folder);
  const auto huge = [](std::size_t) { return 3e38; };
  folder.tensor("vit.layernorm.weight") = f32_tensor("vit.layernorm.weight", {32}, huge);
  const std::string model = "-m " + quoted(folder.write().string()) + " -i a.ppm ";
  for (const std::string dtype : {"int8", "f32"}) {
    const Ran ran = bench.run("classify --json --save-logits l.npy " + model + "--dtype " + dtype);
    CHECK(ran.exit_code == 1);
    CHECK(has(ran.err, "a.ppm: the network's logits are not finite"));
    CHECK_FALSE(fs::exists(bench.path("l.npy")));
    CHECK(has(refusal(bench, "embed -o e.npy " + model + "--dtype " + dtype, 1), "are not finite"));
  }
}

TEST_CASE("answers that nobody could read are a failure") {
  const Bench bench;
  const Ran full = bench.run("info --json >/dev/full 2>full.txt; code=$?; cat full.txt >&2; (exit $code)");
  CHECK(full.exit_code == 1);
  CHECK(read(bench.path("full.txt")) == "vitrail: standard output cannot be written\n");
}

TEST_CASE("an array that goes to standard output is alone there") {
  const Bench bench;
  bench.picture("a.ppm", 32, 32);
  REQUIRE(bench.run(kEmbed + "-i a.ppm -o e.npy").out == "e.npy  cls  f32 1 × 64\n");
  bench.run(kEmbed + "-i a.ppm -o /dev/stdout 2>said.txt | cat >piped.npy; true");
  CHECK(read(bench.path("piped.npy")) == read(bench.path("e.npy")));
  CHECK(read(bench.path("said.txt")) == "/dev/stdout  cls  f32 1 × 64\n");
}
