// Everything an application sees.
#pragma once

#include "vitrail/convolution.hpp"
#include "vitrail/error.hpp"
#include "vitrail/executor.hpp"
#include "vitrail/image.hpp"
#include "vitrail/model.hpp"
#include "vitrail/patches.hpp"
#include "vitrail/preprocess.hpp"
#include "vitrail/session.hpp"
#include "vitrail/version.hpp"
