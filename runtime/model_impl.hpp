#pragma once

#include "runtime/weights.hpp"
#include "vitrail/model.hpp"

namespace vitrail {

/// What copies of a Model and its sessions share.
struct Model::Impl {
  Weights weights;
  ModelInfo info;
};

/// What is to be said of a network at the picture size of `config`.
ModelInfo make_info(const Weights& weights, const VitConfig& config);

}  // namespace vitrail
