#pragma once

#include "runtime/vit.hpp"
#include "vitrail/model.hpp"

namespace vitrail {

/// What copies of a Model and its sessions share.
struct Model::Impl {
  Weights weights;
  ModelInfo info;
};

/// What is to be said of a network at the picture size of `config`, its MACs being those of `request`.
ModelInfo make_info(const Weights& weights, const VitConfig& config, const Request& request);

}  // namespace vitrail
