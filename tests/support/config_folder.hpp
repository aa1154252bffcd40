// A sound model folder with a few keys changed: what read_network() makes of it.
#pragma once

#include <doctest/doctest.h>

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string_view>

#include "runtime/model/network.hpp"
#include "tests/support/messages.hpp"
#include "tests/support/tiny_networks.hpp"

namespace vitrail::test {

using Parts = std::initializer_list<std::string_view>;

enum class From { huggingface, deit, timm };

/// A sound folder with `patch` merged into its config (null erases) and `preprocessor` into the preprocessor's.
inline Result<NetworkSource> read(From from, const nlohmann::json& patch,
                                  const nlohmann::json& preprocessor = nlohmann::json::object()) {
  TinyFolder f;
  if (from == From::timm) {
    make_timm(f);
    f.config.merge_patch(patch);
  } else {
    make_huggingface(f, from == From::deit ? "deit" : "vit");
    f.config.update(patch);
    f.preprocessor.update(preprocessor);
  }
  return read_network(f.write());
}

inline void refused(From from, const nlohmann::json& patch, ErrorCode code, Parts parts) {
  INFO("patch: ", patch.dump());
  check_error(read(from, patch), code, parts);
}

inline VitConfig accepted(const Result<NetworkSource>& network) {
  REQUIRE_MESSAGE(network, (network ? "" : network.error().message));
  return network->config;
}

}  // namespace vitrail::test
