#include <cstdint>
#include <limits>
#include <new>
#include <string>

#include "runtime/argument_error.hpp"
#include "runtime/kernels.hpp"
#include "runtime/patch_axis.hpp"
#include "vitrail/image.hpp"
#include "vitrail/patches.hpp"

namespace vitrail {
namespace {

/// The arguments of one axis, with the name the caller knows its length by.
struct AxisRequest {
  const char* name;
  int length;
  int patch;
  int stride;
  int padding;
};

Error remainder_error(const AxisRequest& axis, int below, int above) {
  std::string expected;
  if (below >= 1) expected += std::to_string(below);
  if (above <= max_image_side) expected += (expected.empty() ? "" : " or ") + std::to_string(above);
  expected += " (patches of " + std::to_string(axis.patch) + ", stride " + std::to_string(axis.stride) + ", padding " +
              std::to_string(axis.padding) + "), or Remainder::pad or Remainder::crop";
  return argument_error(axis.name, std::to_string(axis.length), expected);
}

/// Number of patches along one axis.
Result<int> count_patches(const AxisRequest& axis, Remainder remainder) {
  const int room = axis.length + 2 * axis.padding - axis.patch;
  if (room < 0) {
    if (remainder == Remainder::pad) return 1;
    const int smallest = axis.patch - 2 * axis.padding;
    if (remainder == Remainder::refuse) return remainder_error(axis, 0, smallest);
    return argument_error(axis.name, std::to_string(axis.length),
                          "at least " + std::to_string(smallest) + ", one whole patch, or Remainder::pad");
  }
  const int whole = room / axis.stride + 1;
  const int rest = room % axis.stride;
  if (rest == 0 || remainder == Remainder::crop) return whole;
  if (remainder == Remainder::refuse)
    return remainder_error(axis, axis.length - rest, axis.length - rest + axis.stride);
  // One more patch, unless it would hold nothing but zeros (as in torch's ceil_mode).
  return whole * axis.stride - axis.padding < axis.length ? whole + 1 : whole;
}

Status check_options(const PatchGridOptions& o) {
  const struct {
    const char* name;
    long long value, low, high;
  } ranges[] = {
      {"height", o.height, 1, max_image_side},
      {"width", o.width, 1, max_image_side},
      {"channels", o.channels, 1, 64},
      {"patch_height", o.patch_height, 1, 4096},
      {"patch_width", o.patch_width, 1, 4096},
      {"stride_y", o.stride_y, 0, max_image_side},
      {"stride_x", o.stride_x, 0, max_image_side},
      {"padding_y", o.padding_y, 0, o.patch_height - 1LL},
      {"padding_x", o.padding_x, 0, o.patch_width - 1LL},
  };
  for (const auto& range : ranges) {
    if (Status status = check_range(range.name, range.value, range.low, range.high); !status) return status;
  }
  if (o.remainder != Remainder::refuse && o.remainder != Remainder::pad && o.remainder != Remainder::crop) {
    return argument_error("remainder", std::to_string(static_cast<int>(o.remainder)), "a Remainder");
  }
  return {};
}

}  // namespace

Result<PatchGrid> PatchGrid::make(const PatchGridOptions& options) try {
  const auto kernels = select_kernels();
  if (!kernels) return kernels.error();
  return make(options, *kernels);
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::out_of_memory, "PatchGrid::make: no memory for the choice of kernels"};
}

Result<PatchGrid> PatchGrid::make(const PatchGridOptions& options, const Kernels& kernels) {
  if (Status status = check_options(options); !status) return status.error();
  PatchGrid grid;
  PatchGridOptions& o = grid.options_;
  o = options;
  if (o.stride_y == 0) o.stride_y = o.patch_height;
  if (o.stride_x == 0) o.stride_x = o.patch_width;

  const Result<int> rows = count_patches({"height", o.height, o.patch_height, o.stride_y, o.padding_y}, o.remainder);
  if (!rows) return rows.error();
  const Result<int> columns = count_patches({"width", o.width, o.patch_width, o.stride_x, o.padding_x}, o.remainder);
  if (!columns) return columns.error();
  grid.rows_ = *rows;
  grid.columns_ = *columns;

  // The ranges above keep the product below 2^61; what is left to check is that the machine can address it as floats.
  const std::uint64_t elements = static_cast<std::uint64_t>(*rows) * static_cast<std::uint64_t>(*columns) *
                                 static_cast<std::uint64_t>(o.patch_height) *
                                 static_cast<std::uint64_t>(o.patch_width) * static_cast<std::uint64_t>(o.channels);
  constexpr std::uint64_t most = std::numeric_limits<std::ptrdiff_t>::max() / sizeof(float);
  if (elements > most) {
    return argument_error("height x width", std::to_string(elements) + " elements in all patches",
                          "at most " + std::to_string(most));
  }

  grid.copy_runs_ = kernels.copy_runs;
  return grid;
}

std::size_t PatchGrid::patch_size() const noexcept {
  return static_cast<std::size_t>(options_.patch_height) * static_cast<std::size_t>(options_.patch_width) *
         static_cast<std::size_t>(options_.channels);
}

PixelRect PatchGrid::rect(int token) const noexcept {
  if (token < 0 || token >= count()) return {};
  return {token % columns_ * options_.stride_x - options_.padding_x,
          token / columns_ * options_.stride_y - options_.padding_y, options_.patch_width, options_.patch_height};
}

int PatchGrid::token_at(int x, int y) const noexcept {
  if (count() == 0 || x < 0 || y < 0 || x >= options_.width || y >= options_.height) return -1;
  const PatchRange rows = axis_y(*this).covering(y);
  const PatchRange columns = axis_x(*this).covering(x);
  return rows.empty() || columns.empty() ? -1 : rows.first * columns_ + columns.first;
}

}  // namespace vitrail
