// The specification, the fallback and the oracle: every kernel in plain C++.
#pragma once

#include "runtime/kernels.hpp"

namespace vitrail::reference {

/// A complete table of kernels.
Kernels kernels();

/// The scalar functions the contract is written in; tests compare them with the C library's.
float exp(float x);
float exp2_s8(float x);
float activate(float x, Activation activation);
float gelu_s8(float x);

}  // namespace vitrail::reference
