// Files that are saved: what nobody could read is refused before anything is written, and too little memory is an
// error.
#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/allocations.hpp"
#include "tests/support/codecs.hpp"
#include "tests/support/files.hpp"
#include "tests/support/messages.hpp"
#include "vitrail/codecs.hpp"

using namespace vitrail;
using namespace vitrail::test;
namespace fs = std::filesystem;
using Metadata = std::vector<std::pair<std::string, std::string>>;

namespace {

constexpr auto kInvalid = ErrorCode::invalid_argument;
const float kValues[] = {1, -2, 0.5f};

/// The header of a safetensors file.
nlohmann::json header_of(const fs::path& path) {
  const std::string file = read_file(path);
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  return nlohmann::json::parse(file.substr(8, length));
}

}  // namespace

TEST_CASE("safetensors: names and metadata that nobody could read are refused") {
  const TemporaryFolder folder;
  const fs::path path = folder / "a.safetensors";
  const auto save = [&](const std::vector<std::string>& names, const Metadata& metadata = {}) {
    std::vector<NamedArray> arrays;
    for (const std::string& name : names) arrays.push_back({name, {3}, kValues});
    return save_safetensors(path, arrays, metadata);
  };
  check_error(save({"a", "b", "a"}), kInvalid, {path.string() + ": names of arrays: found \"a\" twice, expected each"});
  check_error(save({"__metadata__"}), kInvalid, {"names of arrays: found \"__metadata__\", expected another"});
  check_error(save({"__metadata__"}, {{"k", "v"}}), kInvalid, {"names of arrays: found \"__metadata__\""});
  check_error(save({"a"}, {{"k", "v"}, {"k", "w"}}), kInvalid,
              {"keys of metadata: found \"k\" twice, expected each once"});
  check_error(save({"a\xff\x1b"}), kInvalid, {"names of arrays: found \"a\\xff\\x1b\", expected UTF-8"});
  check_error(save({"a"}, {{"k\xc3", "v"}}), kInvalid, {"keys of metadata: found \"k\\xc3\", expected UTF-8"});
  check_error(save({"a"}, {{"k", "\x80"}}), kInvalid, {"values of metadata: found \"\\x80\", expected UTF-8"});
  // Cut off, a letter in its place, longer than needed, halves of pairs, above U+10FFFF, no first byte.
  for (const char* bad :
       {"\xe2\x82", "\xf0\x9f\x98", "\xe2\x82z", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",
        "\xed\xa0\x80", "\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xfe", "\xbf"})
    check_error(save({bad}), kInvalid, {"expected UTF-8"});
  CHECK(fs::is_empty(folder.path()));

  // The first and the last of each length, and what is escaped.
  const std::string good =
      "a\x7f \xc2\x80\xdf\xbf \xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf \xf0\x90\x80\x80\xf4\x8f\xbf\xbf";
  REQUIRE(save({good, "b", std::string("\0\x1f", 2)}, {{"k", good}, {good, "v"}, {"b", "v"}}));
  const auto header = header_of(path);
  CHECK(header.size() == 4);
  CHECK(header.contains(good));
  CHECK(header["__metadata__"]["k"] == good);
}

TEST_CASE("shapes whose size overflows are refused, also where a length is 0") {
  const TemporaryFolder folder;
  const std::size_t half = std::size_t{1} << (sizeof(std::size_t) * 4);
  const std::vector<std::size_t> wraps = {half, half}, hidden = {half, half, 0}, hidden_too = {0, half, half},
                                 bytes = {half, half / 4};
  const std::string text = std::to_string(half);
  for (const auto& shape : {wraps, hidden, hidden_too, bytes}) {
    CAPTURE(shape.size());
    const NamedArray arrays[] = {{"a", shape, {}}};
    check_error(save_safetensors(folder / "a.safetensors", arrays), kInvalid, {"\"a\": shape: found [", "overflows"});
    check_error(save_npy(folder / "a.npy", shape, std::span<const float>()), kInvalid, {text, "overflows"});
  }
  check_error(save_npy(folder / "a.npy", wraps, std::span<const std::uint8_t>()), kInvalid,
              {(folder / "a.npy").string() + ": shape: found (" + text + ", " + text + "), whose size overflows"});
  const std::vector<std::size_t> ones(33, 1), few(32, 1);
  check_error(save_npy(folder / "a.npy", ones, std::span(kValues).first(1)), kInvalid,
              {"shape: found 33 dimensions, expected at most 32"});
  CHECK(fs::is_empty(folder.path()));
  CHECK(save_npy(folder / "a.npy", few, std::span(kValues).first(1)));
  const std::vector<std::size_t> none = {0, half / 8};
  CHECK(save_npy(folder / "a.npy", none, std::span<const float>()));
}

TEST_CASE("too little memory is an error, wherever it ends, and leaves what was there") {
  const TemporaryFolder folder;
  // Longer than what a string or a path holds without memory.
  const fs::path path = folder / "a_name_that_is_longer_than_small_strings.file";
  const Image picture(3, 2, PixelFormat::rgb8);
  const std::size_t shape[] = {3};
  const NamedArray arrays[] = {{"an array whose name is longer than small strings", {3}, kValues}};
  const Metadata metadata = {{"a key that is longer than small strings", "a value that is longer than small strings"}};
  const auto fails_for = [&](std::uint64_t failures, const std::string& expected, const auto& action) {
    write_file(path, "before");
    std::uint64_t calls = 0;
    for (Status status = Error{}; !status; ++calls) {
      REQUIRE(calls < 1000);
      {
        const FewAllocations few(calls, failures);
        status = action();
      }
      if (status) continue;
      CHECK(status.error().code == ErrorCode::out_of_memory);
      CHECK(status.error().message == expected);
      CHECK(read_file(path) == "before");
      CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 1);
    }
    CHECK(calls > 5);
    CHECK(read_file(path) != "before");
  };
  const auto fails = [&](const auto& action) {
    fails_for(1, path.string() + ": not enough memory to write it", action);
    fails_for(UINT64_MAX, "out of memory", action);  // none for the message either
  };
  if (has_png) fails([&] { return save_png(picture, path); });
  fails([&] { return save_npy(path, shape, kValues); });
  fails([&] { return save_safetensors(path, arrays, metadata); });
}
