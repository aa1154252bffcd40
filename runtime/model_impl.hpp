#pragma once

#include "runtime/weights.hpp"
#include "vitrail/model.hpp"

namespace vitrail {

/// What copies of a Model and its sessions share.
struct Model::Impl {
  Weights weights;
  ModelInfo info;
};

}  // namespace vitrail
