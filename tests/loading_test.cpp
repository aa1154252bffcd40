// What loading a network costs in memory, and what it says meanwhile.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>

#include "tests/support/golden.hpp"
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

TEST_CASE("LayerScale is checked as it is folded: a bias that becomes infinite is no bias") {
  TinyFolder folder;
  make_timm(folder);
  folder.config["architecture"] = "vit_small_patch14_dinov2";
  folder.config["model_args"].update({{"patch_size", 16}, {"img_size", {32, 32}}});
  for (const char* block : {"blocks.0.", "blocks.1."})
    for (const char* scale : {"ls1.gamma", "ls2.gamma"}) folder.add(std::string(block) + scale, {32});
  const auto sound = Model::load(folder.write());
  REQUIRE_MESSAGE(sound, (sound ? "" : sound.error().message));
  const auto huge = [](std::size_t) { return 1e20; };
  folder.tensor("blocks.1.mlp.fc2.bias") = f32_tensor("blocks.1.mlp.fc2.bias", {32}, huge);
  folder.tensor("blocks.1.ls2.gamma") = f32_tensor("blocks.1.ls2.gamma", {32}, huge);
  const auto refused = Model::load(folder.write());
  REQUIRE(!refused);
  CHECK(refused.error().code == ErrorCode::bad_file);
  CHECK(refused.error().message.find("bias of 'blocks.1.mlp.fc2.weight', times LayerScale: found") !=
        std::string::npos);
}

TEST_CASE("a weight that is not finite is named, with its file") {
  TinyFolder folder;
  make_huggingface(folder);
  const auto nan = [](std::size_t i) { return i == 0 ? std::numeric_limits<double>::quiet_NaN() : 0.5; };
  const auto refused = [&](const DType dtype) {
    const auto model = Model::load(folder.write(), {.dtype = dtype});
    return model ? "" : model.error().message;
  };
  for (std::size_t i = 0; i < folder.tensors.size(); ++i) {
    const TestTensor sound = folder.tensors[i];
    CAPTURE(sound.name);
    folder.tensors[i] = f32_tensor(sound.name, sound.shape, nan);
    const std::string expected = (folder.dir / "model.safetensors").string() + ": tensor '" + sound.name +
                                 "': found a value that is NaN or infinite, expected finite weights";
    CHECK(refused(DType::int8) == expected);
    CHECK(refused(DType::f32) == expected);
    folder.tensors[i] = sound;
  }
  const std::string patches = "vit.embeddings.patch_embeddings.projection.weight";
  folder.tensor(patches) = f32_tensor(patches, {32, 3, 16, 16}, [](std::size_t) { return 3e38; });
  CHECK(refused(DType::int8).find("'" + patches + "', times mean / std of the pictures: found") != std::string::npos);
  CHECK(refused(DType::f32).empty());
}

TEST_CASE("progress ends where it said it would, also where blocks share a table") {
  for (const auto& entry : std::filesystem::directory_iterator(goldens() / "families")) {
    CAPTURE(entry.path().string());
    const GoldenModel golden(entry.path());
    std::uint64_t last = 0, whole = 1;
    LoadOptions options;
    options.progress = [&](std::uint64_t done, std::uint64_t total) {
      CHECK(done >= last);
      last = done, whole = total;
    };
    REQUIRE(Model::load(golden.folder(), options));
    CHECK(last == whole);
  }
}
