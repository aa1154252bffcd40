// The program `vitrail`, run as a user runs it, in a folder of its own. The networks are tiny ones of the goldens.
#pragma once

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/files.hpp"
#include "tests/support/pictures.hpp"

namespace vitrail::test {

inline const std::string kGoldens = VITRAIL_SOURCE_DIR "/tests/goldens";
inline const std::string kModel = kGoldens + "/saved/vit_f16";  // 32 x 32 pictures, 5 labels
inline const std::string kHeadless = kGoldens + "/saved/vit_model_f32";

inline std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline bool has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

struct Ran {
  int exit_code = -1;
  std::string out, err;
  std::vector<nlohmann::json> lines() const {
    std::vector<nlohmann::json> objects;
    for (std::size_t at = 0, end; (end = out.find('\n', at)) != out.npos; at = end + 1)
      objects.push_back(nlohmann::json::parse(out.substr(at, end - at)));
    return objects;
  }
};

/// A folder to work in, and the program run inside it.
struct Bench {
  TemporaryFolder folder;

  std::filesystem::path path(const std::string& name) const { return folder.path() / name; }
  std::ptrdiff_t files() const { return std::distance(std::filesystem::directory_iterator(folder.path()), {}); }

  Ran run(const std::string& arguments) const {
    const std::string command = "cd '" + folder.path().string() + "' && '" VITRAIL_PROGRAM "' " + arguments +
                                " >stdout.txt 2>stderr.txt </dev/null";
    const int status = std::system(command.c_str());
    Ran ran{WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(path("stdout.txt")), read(path("stderr.txt"))};
    std::filesystem::remove(path("stdout.txt"));
    std::filesystem::remove(path("stderr.txt"));
    CAPTURE(arguments);
    CHECK_MESSAGE(ran.exit_code >= 0, "the program crashed");
    return ran;
  }

  /// A picture of noise as P6.
  void picture(const std::string& name, int width, int height, std::uint32_t seed = 1) const {
    const auto bytes = noise(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3, seed);
    std::ofstream file(path(name), std::ios::binary);
    file << "P6 " << width << " " << height << " 255\n";
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
};

/// The message, and the exit code that must come with it.
inline std::string refusal(const Bench& bench, const std::string& arguments, int exit_code) {
  const Ran ran = bench.run(arguments);
  CAPTURE(arguments);
  CHECK(ran.exit_code == exit_code);
  return ran.err;
}

inline std::string quoted(const std::string& text) { return "'" + text + "'"; }
inline const std::string kClassify = "classify -m " + quoted(kModel) + " ";
inline const std::string kEmbed = "embed -m " + quoted(kModel) + " ";

}  // namespace vitrail::test
