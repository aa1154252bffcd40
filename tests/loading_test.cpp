// What loading a network costs in memory.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>

#include "tests/support/tiny_networks.hpp"
#include "vitrail/model.hpp"

using namespace vitrail;
using namespace vitrail::test;

TEST_CASE("loading keeps no more of the file in memory than what it packs just now") {
  TinyFolder folder;
  make_huggingface(folder);
  folder.config["intermediate_size"] = 32768;  // four matrices of 4 MB
  for (const std::string layer : {"vit.encoder.layer.0.", "vit.encoder.layer.1."}) {
    for (const char* part : {"intermediate.dense", "output.dense"})
      for (const char* tensor : {".weight", ".bias"}) folder.remove(layer + part + tensor);
    folder.add_linear(layer + "intermediate.dense", 32768, 32);
    folder.add_linear(layer + "output.dense", 32, 32768);
  }
  const auto file_pages_kb = [] {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with("RssFile:")) return std::stol(line.substr(8));
    return -1L;
  };
  const auto& path = folder.write();
  const long before = file_pages_kb();
  if (before < 0) return;  // only Linux tells
  long most = 0;
  LoadOptions options;
  options.threads = 1;
  options.progress = [&](auto, auto) { most = std::max(most, file_pages_kb() - before); };
  REQUIRE(Model::load(path, options));
  CHECK(most > 0);
  CHECK(most < 6000);
}
