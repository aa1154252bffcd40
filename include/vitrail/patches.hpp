// Pixels ↔ patches. Usable alone: nothing here needs a network.
//
//   PatchGrid   where the patches lie: rows, columns, token index ↔ pixel rectangle
//   patchify    pixels  → patches [N, P·P·C]
//   assemble    patches → pixels, the inverse (overlaps are averaged)
#pragma once

#include <cstddef>
#include <cstdint>

#include "vitrail/error.hpp"

namespace vitrail {

struct Kernels;
struct Plan;
struct Runs;

/// What to do with a picture whose height or width is not covered exactly by whole patches.
enum class Remainder {
  refuse,  ///< an error that says so
  pad,     ///< zeros are added at the bottom and right until the last patch is whole (never a patch of zeros only)
  crop,    ///< the incomplete patches at the bottom and right are left out
};

/// Order of the elements inside one patch.
enum class PatchOrder {
  hwc,  ///< [patch_height, patch_width, channels]: runs of bytes as they lie in the picture (the fast one)
  chw,  ///< [channels, patch_height, patch_width]: as torch.nn.functional.unfold gives them
};

/// A rectangle in the picture, in pixels. With padding it may reach outside the picture.
struct PixelRect {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
};

/// Arguments of PatchGrid::make. All lengths are in pixels. A remainder is what (length + 2·padding − patch) leaves
/// after division by the stride.
struct PatchGridOptions {
  int height = 0;         ///< picture, 1 … 32768
  int width = 0;          ///< picture, 1 … 32768
  int channels = 3;       ///< samples per pixel, 1 … 64
  int patch_height = 16;  ///< 1 … 4096
  int patch_width = 16;   ///< 1 … 4096
  int stride_y = 0;       ///< from one patch to the next, … 32768; 0 means patch_height (no overlap)
  int stride_x = 0;       ///< from one patch to the next, … 32768; 0 means patch_width (no overlap)
  int padding_y = 0;      ///< zeros above and below, 0 … patch_height − 1
  int padding_x = 0;      ///< zeros left and right, 0 … patch_width − 1
  Remainder remainder = Remainder::refuse;
};

/// Where the patches of a picture lie. An immutable value; safe to share between threads. One that make() did not give
/// has no patches.
/// rows = (height + 2·padding_y − patch_height) / stride_y + 1, columns likewise (torch.nn.Unfold's formula, dilation
/// 1).
class PatchGrid {
 public:
  /// Chooses the loops of this CPU (VITRAIL_CPU lowers them; every choice gives the same bytes). An error where an
  /// option is out of range, the patches do not cover the picture as `remainder` asks, or VITRAIL_CPU is no class of
  /// this CPU (VITRAIL_ONEDNN neither 0 nor 1).
  static Result<PatchGrid> make(const PatchGridOptions& options);

  int rows() const noexcept { return rows_; }
  int columns() const noexcept { return columns_; }
  /// N, the number of patches: rows · columns.
  int count() const noexcept { return rows_ * columns_; }
  /// Elements of one patch: patch_height · patch_width · channels.
  std::size_t patch_size() const noexcept;
  /// Elements of all patches, N · patch_size().
  std::size_t size() const noexcept { return static_cast<std::size_t>(count()) * patch_size(); }
  /// The options as given, with stride 0 replaced by the patch size.
  const PatchGridOptions& options() const noexcept { return options_; }

  /// The pixels of patch `token` (0 … N−1, row by row; a CLS token is not counted); empty for any other token.
  PixelRect rect(int token) const noexcept;
  /// The first patch that contains pixel (x, y), or −1 where none does (outside, cropped, or between strides).
  int token_at(int x, int y) const noexcept;

 private:
  friend struct RunLayout;
  friend struct Plan;
  static Result<PatchGrid> make(const PatchGridOptions& options, const Kernels& kernels);
  PatchGridOptions options_;
  int rows_ = 0;
  int columns_ = 0;
  void (*copy_runs_)(const std::uint8_t* src, std::uint8_t* dst, const Runs& runs) = nullptr;
};

/// Pixels [height, width, channels] → patches [N, patch_size()], written without gaps.
/// @param src               first sample of the first row; `src_stride_bytes` bytes from one row to the next (may be
///                          negative; for float a multiple of 4)
/// @param dst               room for grid.size() elements; must not overlap src
/// Pixels outside the picture (padding) become 0. Thread-safe; does not allocate, throw or fail.
void patchify(const PatchGrid& grid, const std::uint8_t* src, std::ptrdiff_t src_stride_bytes, std::uint8_t* dst,
              PatchOrder order = PatchOrder::hwc) noexcept;
void patchify(const PatchGrid& grid, const float* src, std::ptrdiff_t src_stride_bytes, float* dst,
              PatchOrder order = PatchOrder::hwc) noexcept;

/// Patches [N, patch_size()] → pixels [height, width, channels]: the exact inverse of patchify.
/// Where patches overlap (stride < patch) the mean is written (u8: rounded half up; float: summed in double, so that
/// patches of one picture give it back to the bit); pixels no patch covers become 0. Thread-safe; does not allocate,
/// throw or fail.
void assemble(const PatchGrid& grid, const std::uint8_t* src, std::uint8_t* dst, std::ptrdiff_t dst_stride_bytes,
              PatchOrder order = PatchOrder::hwc) noexcept;
void assemble(const PatchGrid& grid, const float* src, float* dst, std::ptrdiff_t dst_stride_bytes,
              PatchOrder order = PatchOrder::hwc) noexcept;

}  // namespace vitrail
