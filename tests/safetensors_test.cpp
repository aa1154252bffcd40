#include "runtime/model/safetensors.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>

#include "runtime/model/json_reader.hpp"
#include "runtime/model/mapped_file.hpp"
#include "runtime/model/network.hpp"
#include "tests/support/files.hpp"
#include "tests/support/messages.hpp"
#include "tests/support/safetensors_writer.hpp"

#if __has_include(<sys/stat.h>)
#include <sys/stat.h>
#include <unistd.h>
#endif

using namespace vitrail;
using namespace vitrail::test;

namespace {

Result<Safetensors> open_bytes(const TemporaryFolder& dir, std::string_view bytes) {
  write_file(dir / "x.safetensors", bytes);
  return Safetensors::open(dir / "x.safetensors");
}

void check_refused(std::string_view bytes, std::initializer_list<std::string_view> parts) {
  TemporaryFolder dir;
  auto result = open_bytes(dir, bytes);
  check_error(result, ErrorCode::bad_file, parts);
  if (!result) CHECK(result.error().message.find("x.safetensors: ") != std::string::npos);
}

std::string entry(const std::string& name, const std::string& shape, const std::string& offsets,
                  const std::string& dtype = "F32") {
  return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

}  // namespace

TEST_CASE("a sound file gives names, shapes and bytes") {
  TemporaryFolder dir;
  auto file = open_bytes(dir, safetensors_file({f32_tensor("b", {2, 3}, [](auto i) { return i; }),
                                                f32_tensor("a", {}, [](auto) { return 7; }),
                                                {"ids", {2}, std::string(16, '\1'), "I64"},
                                                f32_tensor("none", {0, 5}, [](auto) { return 0; })}));
  REQUIRE(file);
  REQUIRE(file->tensors().size() == 4);
  CHECK(file->tensors()[0].name == "a");
  CHECK(file->tensors()[0].shape.empty());
  CHECK(file->find("ids")->dtype == "I64");
  CHECK(file->find("none")->shape == std::vector<std::int64_t>{0, 5});
  CHECK(file->find("c") == nullptr);
  const StoredTensor& b = *file->find("b");
  CHECK(b.shape == std::vector<std::int64_t>{2, 3});
  float values[6];
  to_f32({b.name, TensorView::Type::f32, b.shape, b.data}, 1, 5, values);
  CHECK(values[0] == 1);
  CHECK(values[4] == 5);
}

TEST_CASE("the bytes outlive the Safetensors and the file's name") {
  TemporaryFolder dir;
  const std::byte* data = nullptr;
  std::shared_ptr<const void> files;
  {
    auto file = open_bytes(dir, safetensors_file({f32_tensor("a", {1}, [](auto) { return 3; })}));
    REQUIRE(file);
    data = file->find("a")->data;
    files = file->files();
  }
  std::filesystem::remove(dir / "x.safetensors");
  float value = 0;
  to_f32({"a", TensorView::Type::f32, {1}, data}, 0, 1, &value);
  CHECK(value == 3);
}

TEST_CASE("files that are not there, not files, or empty") {
  TemporaryFolder dir;
  check_error(Safetensors::open(dir / "no.safetensors"), ErrorCode::io,
              {"no.safetensors: cannot be opened", "No such file"});
  check_error(Safetensors::open(dir.path()), ErrorCode::io, {"is a folder, expected a file"});
  check_refused("", {"is empty"});
  check_error(Safetensors::open_folder(dir.path()), ErrorCode::io,
              {"model.safetensors", "model.safetensors.index.json"});
  write_file(dir / "pytorch_model.bin", "x");
  check_error(Safetensors::open_folder(dir.path()), ErrorCode::io,
              {"pytorch_model.bin is there", "safe_serialization"});
#if __has_include(<sys/stat.h>)
  check_error(MappedFile::open("/dev/null"), ErrorCode::io, {"/dev/null: is a device", "expected a regular file"});
  REQUIRE(mkfifo((dir / "fifo").c_str(), 0600) == 0);
  check_error(MappedFile::open(dir / "fifo"), ErrorCode::io, {"fifo: is a device, pipe", "expected a regular file"});
  if (geteuid() != 0) {
    write_file(dir / "secret", "x");
    chmod((dir / "secret").c_str(), 0);
    check_error(MappedFile::open(dir / "secret"), ErrorCode::io, {"secret: cannot be opened", "ermission"});
  }
#endif
}

TEST_CASE("pages that were dropped are read again") {
  TemporaryFolder dir;
  std::string text(100'000, ' ');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 7919 >> 4);
  write_file(dir / "a", text);
  const auto file = MappedFile::open(dir / "a").value();
  for (const auto& [first, count] : std::vector<std::pair<std::size_t, std::size_t>>{
           {0, text.size()}, {1, 5}, {4095, 2}, {4096, 4096}, {5000, 90'000}, {text.size(), 0}}) {
    file->drop_pages(file->bytes().data() + first, count);
    CHECK(file->text() == text);
  }
}

TEST_CASE("truncated files and impossible header lengths") {
  std::string whole = safetensors_file({f32_tensor("a", {4}, [](auto) { return 1; })});
  check_refused(whole.substr(0, 5), {"cut off", "found 5 bytes", "expected at least 8"});
  check_refused(whole.substr(0, 20), {"cut off", "header length is", "12 bytes follow"});
  check_refused(whole.substr(0, whole.size() - 1), {"tensor \"a\"", "data_offsets: found [0, 16]", "only 15 bytes"});
  check_refused(whole + "x", {"1 bytes at the end belong to no tensor"});
  check_refused(std::string(8, '\xff') + "{}", {"header length: found 18446744073709551615", "at most 100000000"});
  check_refused(std::string("\xf8") + std::string(7, '\xff') + "{}", {"header length: found 18446744073709551608"});
  check_refused(std::string("\x01\xe1\xf5\x05\0\0\0\0", 8) + "{}", {"found 100000001", "at most 100000000"});
  check_refused(std::string(8, '\0'), {"header: expected a JSON object"});
  check_refused("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n",
                {"is Git LFS's pointer to a file"});
}

TEST_CASE("headers that are not the format's JSON") {
  auto refused = [](const std::string& header, std::initializer_list<std::string_view> parts) {
    check_refused(safetensors_file(header, "01234567"), parts);
  };
  refused("[]", {"starts with '{'"});
  refused("{\"a\":", {"not valid JSON"});
  refused("{} x", {"not valid JSON"});
  refused("{\"a\xff\":{}}", {"not valid JSON"});
  refused("{\"a\":NaN}", {"not valid JSON"});
  refused("{\"a\":5}", {"tensor \"a\"", "found 5", "expected an object with dtype, shape, data_offsets"});
  refused("{\"__metadata__\":[]}", {"__metadata__", "expected an object"});
  refused("{" + entry("a", "[2]", "[0,8]") + "," + entry("a", "[2]", "[0,8]") + "}", {"key \"a\" is given twice"});
  refused(R"({"a":{"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8]}})", {"key \"dtype\" is given twice"});
  refused(R"({"a":{"dtype":"F32","shape":[2]}})", {"tensor \"a\"", "\"data_offsets\" is missing"});
  refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"strides":[1]}})", {"unknown key \"strides\""});
  refused("{" + entry("a", "[2]", "[0,8]", "F31") + "}", {"dtype: found \"F31\""});
  refused(R"({"a":{"dtype":4,"shape":[2],"data_offsets":[0,8]}})", {"dtype: found 4"});
}

TEST_CASE("recursion bombs in the header") {
  for (const char* open : {"[", "{\"a\":"}) {
    std::string bomb;
    for (int i = 0; i < 1'000'000; ++i) bomb += open;
    check_refused(safetensors_file("{\"a\":" + bomb, ""), {"nested deeper than 32"});
    check_error(parse_json(bomb, "config.json"), ErrorCode::bad_file, {"config.json: is nested deeper than 32"});
  }
  std::string wide = "[0";
  for (int i = 0; i < 4'000'001; ++i) wide += ",0";
  check_error(parse_json(wide + "]", "config.json"), ErrorCode::bad_file, {"more than 4000000 values"});
}

TEST_CASE("shapes and offsets that lie") {
  auto refused = [](const std::string& entries, std::initializer_list<std::string_view> parts) {
    check_refused(safetensors_file("{" + entries + "}", "01234567"), parts);
  };
  refused(entry("a", "[2]", "[8,0]"), {"tensor \"a\"", "found [8, 0]", "expected begin ≤ end"});
  refused(entry("a", "[2]", "[0,9]"), {"found [0, 9]", "only 8 bytes"});
  refused(entry("a", "[3]", "[0,8]"), {"found 8 bytes", "expected 12 for F32 [3]"});
  refused(entry("a", "[2]", "[0,8]", "F16"), {"found 8 bytes", "expected 4 for F16 [2]"});
  refused(entry("a", "[-2]", "[0,8]"), {"shape: found [-2]", "integers from 0"});
  refused(entry("a", "[2.5]", "[0,8]"), {"shape: found [2.5]"});
  refused(entry("a", "[2.0]", "[0,8]"), {"shape: found [2.0]"});
  refused(entry("a", "[\"2\"]", "[0,8]"), {"shape: found [\"2\"]"});
  refused(entry("a", "2", "[0,8]"), {"shape: found 2"});
  refused(entry("a", "[1,1,1,1,1,1,1,1,2]", "[0,8]"), {"at most 8 lengths"});
  refused(entry("a", "[2]", "[0,8,8]"), {"data_offsets: found [0, 8, 8]", "expected two integers"});
  refused(entry("a", "[2]", "[-8,0]"), {"data_offsets: found [-8, 0]"});
  refused(entry("a", "[2]", "[0,8.0]"), {"data_offsets: found [0, 8.0]"});
  // Lengths near 2^64: products and sums that wrap around to something that fits.
  refused(entry("a", "[4611686018427387904,2,2]", "[0,8]"), {"shape", "overflows"});
  refused(entry("a", "[4294967296,4294967296]", "[0,0]"), {"shape", "overflows"});
  refused(entry("a", "[4611686018427387906]", "[0,8]"), {"shape", "overflows"});
  refused(entry("a", "[18446744073709551615]", "[0,8]"), {"shape", "overflows"});
  refused(entry("a", "[18446744073709551616]", "[0,8]"), {"integers from 0"});
  refused(entry("a", "[2]", "[18446744073709551608,0]"), {"begin ≤ end"});
  refused(entry("a", "[2]", "[18446744073709551607,18446744073709551615]"), {"only 8 bytes"});
  refused(entry("a", "[1]", "[0,4]") + "," + entry("b", "[1]", "[2,6]"), {"tensor \"b\"", "overlap those of \"a\""});
  refused(entry("a", "[2]", "[0,8]") + "," + entry("b", "[2]", "[0,8]"), {"overlap those of"});
  refused(entry("a", "[1]", "[4,8]"), {"tensor \"a\"", "beginning at 4, expected 0", "belong to no tensor"});
}

TEST_CASE("sharded files") {
  TemporaryFolder dir;
  auto value = [](auto i) { return i; };
  write_file(dir / "s1.safetensors", safetensors_file({f32_tensor("a", {2}, value), f32_tensor("b", {1}, value)}));
  write_file(dir / "s2.safetensors", safetensors_file({f32_tensor("c", {3}, value)}));
  auto open_index = [&](const std::string& map) {
    write_file(dir / "model.safetensors.index.json", "{\"metadata\":{\"total_size\":24},\"weight_map\":" + map + "}");
    return Safetensors::open_folder(dir.path());
  };
  auto sound = open_index(R"({"a":"s1.safetensors","b":"s1.safetensors","c":"s2.safetensors"})");
  REQUIRE(sound);
  CHECK(sound->tensors().size() == 3);
  CHECK(sound->find("c")->shape == std::vector<std::int64_t>{3});
  CHECK(sound->find("c")->file.find("s2.safetensors") != std::string::npos);

  auto refused = [&](const std::string& map, std::initializer_list<std::string_view> parts) {
    check_error(open_index(map), ErrorCode::bad_file, parts);
  };
  check_error(open_index(R"({"a":"s3.safetensors"})"), ErrorCode::io,
              {"s3.safetensors: cannot be opened", "a shard of", "index.json"});
  for (std::string evil :
       {"../s1.safetensors", "/etc/passwd", "x/s1.safetensors", "x\\\\s1", "..", ".", "", "C:s1", "a\\u0000b"})
    refused("{\"a\":\"" + evil + "\"}", {"index.json: \"weight_map\": tensor \"a\"", "a file in the same folder"});
  refused(R"({"a":3})", {"tensor \"a\": found 3"});
  std::string many = "{";
  for (int i = 0; i < 1001; ++i)
    many += (i ? ",\"t" : "\"t") + std::to_string(i) + "\":\"" + std::to_string(i) + ".safetensors\"";
  refused(many + "}", {"found 1001 shards, expected at most 1000"});
  refused("{}", {"\"weight_map\": expected an object"});
  refused("[]", {"\"weight_map\": expected an object"});
  refused(R"({"a":"s1.safetensors","b":"s1.safetensors","d":"s2.safetensors","c":"s2.safetensors"})",
          {"tensor \"d\" is not in \"s2.safetensors\""});
  refused(R"({"a":"s1.safetensors","c":"s2.safetensors"})", {"tensor \"b\" is in \"s1.safetensors\"", "nothing of it"});
  // The same tensor in two shards: one of them contradicts the map.
  write_file(dir / "s2.safetensors", safetensors_file({f32_tensor("a", {2}, value), f32_tensor("c", {3}, value)}));
  refused(R"({"a":"s1.safetensors","b":"s1.safetensors","c":"s2.safetensors"})",
          {"tensor \"a\" is in \"s2.safetensors\"", "it is in \"s1.safetensors\""});
}

TEST_CASE("f16 and bf16 convert exactly, all 65536 of them") {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    std::byte bytes[3] = {std::byte{0}, static_cast<std::byte>(bits & 255), static_cast<std::byte>(bits >> 8)};
    float half = 0, brain = 0;
    to_f32({"h", TensorView::Type::f16, {1}, bytes + 1}, 0, 1, &half);  // at an odd address
    to_f32({"b", TensorView::Type::bf16, {1}, bytes + 1}, 0, 1, &brain);
    CHECK_UNARY(std::bit_cast<std::uint32_t>(brain) == bits << 16);

    int exponent = static_cast<int>(bits >> 10 & 31), fraction = static_cast<int>(bits & 1023);
    double expected = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    if (exponent == 31) expected = fraction ? std::numeric_limits<double>::quiet_NaN() : HUGE_VAL;
    if (std::isnan(expected)) {
      CHECK_UNARY(std::isnan(half));
    } else {
      CHECK_UNARY(half == static_cast<float>(expected) * (bits & 0x8000 ? -1.0f : 1.0f));
      CHECK_UNARY(std::signbit(half) == ((bits & 0x8000) != 0));
    }
  }
}

TEST_CASE("thousands of damaged files: an answer or an error, never a crash") {
  TemporaryFolder dir;
  const std::string sound = safetensors_file({f32_tensor("a.weight", {4, 3}, [](auto i) { return i; }),
                                              {"b", {5}, std::string(10, '\2'), "F16"},
                                              {"ids", {1, 2}, std::string(16, '\1'), "I64"}});
  std::mt19937 random(20240501);
  const std::string_view words[] = {"0",    "-1",  "9",  "[", "]", "{", "}", "\"", ",", "18446744073709551615",
                                    "null", "F32", "1e9"};
  int accepted = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string bytes = sound;
    for (unsigned n = random() % 4 + 1; n > 0 && !bytes.empty(); --n) {
      std::size_t at = random() % bytes.size();
      if (round % 2) at = random() % std::min<std::size_t>(bytes.size(), 300);  // mostly the header
      switch (random() % 5) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes[at] = static_cast<char>(bytes[at] ^ 1 << random() % 8);
          break;
        case 2:
          bytes.erase(at, random() % 4 + 1);
          break;
        case 3:
          bytes.insert(at, words[random() % std::size(words)]);
          break;
        default:
          bytes.resize(at + 1);
      }
    }
    auto file = open_bytes(dir, bytes);
    if (!file) {
      CHECK_UNARY(file.error().message.find("x.safetensors") != std::string::npos);
      continue;
    }
    ++accepted;
    for (const StoredTensor& tensor : file->tensors()) {  // every byte that is promised can be read
      if (tensor.dtype != "F32") continue;
      std::vector<float> values(static_cast<std::size_t>(elements(tensor.shape)));
      to_f32({tensor.name, TensorView::Type::f32, tensor.shape, tensor.data}, 0, elements(tensor.shape), values.data());
    }
  }
  CHECK(accepted < 4000);
}
