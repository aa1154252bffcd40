// oneDNN as a provider of int8 GEMM tiles.
#pragma once

#include <memory>
#include <string>

#include "runtime/kernels.hpp"

namespace vitrail::onednn {

/// The provider for sessions of `threads` threads, or null and the reason in `why`.
std::unique_ptr<GemmProvider> make_provider(int threads, std::string& why);

}  // namespace vitrail::onednn
