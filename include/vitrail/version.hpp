// The version of these headers.
#pragma once

// clang-format off: CMake reads the numbers here
#define VITRAIL_VERSION_MAJOR 0
#define VITRAIL_VERSION_MINOR 1
#define VITRAIL_VERSION_PATCH 0
// clang-format on
