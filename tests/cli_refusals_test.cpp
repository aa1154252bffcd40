// What the program refuses, and in which words: nothing is answered that was not asked, and no file is lost.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/support/program.hpp"

using namespace vitrail::test;
namespace fs = std::filesystem;

namespace {

/// The message, and the exit code that must come with it.
std::string refusal(const Bench& bench, const std::string& arguments, int exit_code) {
  const Ran ran = bench.run(arguments);
  CAPTURE(arguments);
  CHECK(ran.exit_code == exit_code);
  return ran.err;
}

}  // namespace

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

TEST_CASE("a model that cannot be examined is not one that is not there") {
  const Bench bench;
  fs::create_directory(bench.path("model"));
  fs::create_symlink("config.json", bench.path("model/config.json"));  // refused as a folder of somebody else's is
  fs::create_symlink("loop", bench.path("loop"));
  CHECK(has(refusal(bench, "info -m model", 1), "model: config.json cannot be examined: Too many levels"));
  CHECK(has(refusal(bench, "info -m loop", 1), "loop: cannot be examined: Too many levels"));
}
