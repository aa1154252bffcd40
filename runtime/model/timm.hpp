// A timm network: puts the tensors of its file where the encoder expects them.
#pragma once

#include "runtime/model/config.hpp"
#include "runtime/model/tensor_set.hpp"

namespace vitrail {

/// Everything but `files`. Errors go to the TensorSet's FirstError.
NetworkSource timm_network(TimmConfig config, TensorSet& tensors);

}  // namespace vitrail
