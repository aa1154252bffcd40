// Sound folders with a few bytes changed: read_network answers or says what is wrong.
#include <doctest/doctest.h>

#include <random>

#include "runtime/model/network.hpp"
#include "tests/support/tiny_networks.hpp"

using namespace vitrail;
using namespace vitrail::test;

TEST_CASE("thousands of damaged folders: an answer or an error, never a crash") {
  TinyFolder hf, timm;
  make_huggingface(hf);
  make_timm(timm);
  std::mt19937 random(7);
  const std::string_view words[] = {"0",    "-1",         "1e9", "[]", "{}", "null",
                                    "true", "2147483648", "\"",  ",",  "16", "1e-300"};
  int accepted = 0;
  for (int round = 0; round < 3000; ++round) {
    TinyFolder& f = round % 2 ? hf : timm;
    if (round < 2) f.write();
    const char* name = round % 3 == 0 && round % 2 ? "preprocessor_config.json"
                       : round % 5 == 0            ? "model.safetensors"
                                                   : "config.json";
    const std::string sound = read_file(f.dir / name);
    std::string bytes = sound;
    for (unsigned n = random() % 3 + 1; n > 0; --n) {
      std::size_t at = random() % bytes.size();
      switch (random() % 4) {
        case 0:
          bytes[at] = static_cast<char>(' ' + random() % 95);
          break;
        case 1:
          bytes.erase(at, random() % 3 + 1);
          break;
        case 2:
          bytes.insert(at, words[random() % std::size(words)]);
          break;
        default:  // a number somewhere becomes another value
          at = bytes.find_first_of("0123456789", at);
          if (at != bytes.npos)
            bytes.replace(at, bytes.find_first_not_of("0123456789.", at) - at, words[random() % std::size(words)]);
      }
      if (bytes.empty()) bytes = "{";
    }
    write_file(f.dir / name, bytes);
    auto network = read_network(f.dir.path());
    accepted += network ? 1 : 0;
    if (!network) CHECK_UNARY(!network.error().message.empty());
    if (network) CHECK_UNARY(network->positions->elements() % network->config.embed_dim == 0);
    write_file(f.dir / name, sound);
  }
  CHECK(accepted > 0);
  CHECK(accepted < 3000);
}
