#include "runtime/plan.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/model/config.hpp"

namespace vitrail {
namespace {

/// Keys' cubic convolution: torch takes a = −0.75 without antialiasing and −0.5, as Pillow does, with it.
double cubic(double x, double a) {
  x = std::fabs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((x - 5) * x + 8) * x * a - 4 * a;
  return 0;
}

struct Taps {
  std::vector<int> from;  ///< clamped to the table
  std::vector<double> weight;
};

/// What output `i` of `count` reads from `source` elements.
Taps taps(int i, int count, int source, PositionRule rule) {
  Taps out;
  const double scale = static_cast<double>(source) / count;
  if (rule == PositionRule::bicubic) {
    const double at = (i + 0.5) * scale - 0.5;
    const int first = static_cast<int>(std::floor(at)) - 1;
    for (int j = first; j < first + 4; ++j) {
      out.from.push_back(std::clamp(j, 0, source - 1));
      out.weight.push_back(cubic(j - at, -0.75));
    }
    return out;
  }
  // Elements outside the table are left out, and the weights of the others scaled to 1.
  const double stretch = std::max(scale, 1.0), center = (i + 0.5) * scale, support = 2 * stretch;
  const int first = std::max(static_cast<int>(center - support + 0.5), 0);
  const int last = std::min(static_cast<int>(center + support + 0.5), source);
  double total = 0;
  for (int j = first; j < last; ++j) {
    out.from.push_back(j);
    out.weight.push_back(cubic((j - center + 0.5) / stretch, -0.5));
    total += out.weight.back();
  }
  for (double& weight : out.weight) weight /= total;
  return out;
}

Error bad_size(const std::string& message) {
  return {ErrorCode::invalid_argument, "SessionOptions::image_height, image_width: " + message};
}

std::string size_text(int height, int width) { return std::to_string(height) + " × " + std::to_string(width); }

/// The multiples of `unit` on both sides of `length`.
std::string nearest(int length, int unit) {
  const int below = length / unit * unit;
  if (below == length) return std::to_string(length);
  return (below > 0 ? std::to_string(below) + " or " : "") + std::to_string(below + unit);
}

/// The size of the pictures the preprocessing makes. A shorter side that is cropped afterwards keeps its proportion to
/// the longer side of the crop, so that the crop is always inside the picture.
void set_size(PreprocessConfig& p, const VitConfig& own, int height, int width) {
  if (p.resize == PreprocessConfig::Resize::shortest_edge) {
    const double ratio = static_cast<double>(p.resize_height) / std::max(own.image_height, own.image_width);
    p.resize_height = p.resize_width = static_cast<int>(std::floor(ratio * std::max(height, width) + 1e-9));
  } else if (p.resize == PreprocessConfig::Resize::exact) {
    const double y = static_cast<double>(p.resize_height) / own.image_height;
    const double x = static_cast<double>(p.resize_width) / own.image_width;
    p.resize_height = static_cast<int>(std::floor(y * height + 1e-9));
    p.resize_width = static_cast<int>(std::floor(x * width + 1e-9));
  }
  if (p.center_crop) {
    p.crop_height = height;
    p.crop_width = width;
  }
}

Status check_size(const VitConfig& c, int height, int width) {
  for (const int length : {height, width})
    if (length < 0 || length > limits::image)
      return bad_size("found " + size_text(height, width) + " pixels, expected 1 … " + std::to_string(limits::image));
  if ((height == 0) != (width == 0))
    return bad_size("found " + size_text(height, width) + ", expected both or neither");
  if (height % c.patch_height != 0 || width % c.patch_width != 0)
    return bad_size("found " + size_text(height, width) + " pixels, expected multiples of the patch size " +
                    size_text(c.patch_height, c.patch_width) + ": height " + nearest(height, c.patch_height) +
                    ", width " + nearest(width, c.patch_width));
  const auto tokens = std::int64_t{height / c.patch_height} * (width / c.patch_width) + c.prefix_tokens();
  if (tokens > limits::tokens)
    return bad_size("found " + size_text(height, width) + " pixels, which are " + std::to_string(tokens) +
                    " tokens, expected at most " + std::to_string(limits::tokens));
  return {};
}

/// DINOv3: the centres of the patches in [−1, 1], times 2π, times falling frequencies; the first half for y, the second
/// for x.
void rotary(Plan& plan) {
  const VitConfig& c = plan.config;
  const int half = c.head_dim() / 2, quarter = half / 2;
  const std::size_t count = static_cast<std::size_t>(c.num_patches()) * static_cast<std::size_t>(half);
  float *cos = plan.storage.make<float>(count), *sin = plan.storage.make<float>(count);
  plan.cos = cos;
  plan.sin = sin;
  for (int row = 0; row < c.grid_rows(); ++row)
    for (int column = 0; column < c.grid_columns(); ++column)
      for (int j = 0; j < half; ++j) {
        const double center = j < quarter ? (row + 0.5) / c.grid_rows() : (column + 0.5) / c.grid_columns();
        const double frequency = std::pow(static_cast<double>(c.rotary_base), -4.0 * (j % quarter) / c.head_dim());
        const double angle = 2 * 3.14159265358979323846 * (2 * center - 1) * frequency;
        *cos++ = static_cast<float>(std::cos(angle));
        *sin++ = static_cast<float>(std::sin(angle));
      }
}

}  // namespace

void resample_positions(const float* table, int rows, int columns, int dim, PositionRule rule, int new_rows,
                        int new_columns, float* dst) {
  const auto D = static_cast<std::size_t>(dim);
  std::vector<double> wide(static_cast<std::size_t>(rows) * static_cast<std::size_t>(new_columns) * D);
  for (int x = 0; x < new_columns; ++x) {
    const Taps t = taps(x, new_columns, columns, rule);
    for (int y = 0; y < rows; ++y) {
      double* out = wide.data() + static_cast<std::size_t>(y * new_columns + x) * D;
      for (std::size_t i = 0; i < t.from.size(); ++i) {
        const float* in = table + static_cast<std::size_t>(y * columns + t.from[i]) * D;
        for (std::size_t d = 0; d < D; ++d) out[d] += t.weight[i] * in[d];
      }
    }
  }
  std::vector<double> sum(D);
  for (int y = 0; y < new_rows; ++y) {
    const Taps t = taps(y, new_rows, rows, rule);
    for (int x = 0; x < new_columns; ++x, dst += D) {
      std::fill(sum.begin(), sum.end(), 0.0);
      for (std::size_t i = 0; i < t.from.size(); ++i) {
        const double* in = wide.data() + static_cast<std::size_t>(t.from[i] * new_columns + x) * D;
        for (std::size_t d = 0; d < D; ++d) sum[d] += t.weight[i] * in[d];
      }
      for (std::size_t d = 0; d < D; ++d) dst[d] = static_cast<float>(sum[d]);
    }
  }
}

Result<Plan> make_plan(const Weights& weights, int height, int width) {
  Plan plan;
  VitConfig& c = plan.config = weights.config;
  if (auto status = check_size(c, height, width); !status) return status.error();
  if (height != 0 && (height != c.image_height || width != c.image_width)) {
    set_size(c.preprocess, weights.config, height, width);
    c.image_height = height;
    c.image_width = width;
  }
  if (c.positions == PositionRule::rotary) {
    rotary(plan);
    return plan;
  }
  plan.positions = weights.positions;
  if (c.grid_rows() == c.table_rows && c.grid_columns() == c.table_columns) return plan;
  if (c.table_rows != c.table_columns)
    return bad_size("found " + size_text(c.image_height, c.image_width) + " pixels; the position table of " +
                    size_text(c.table_rows, c.table_columns) +
                    " patches is not square, and only square tables are resampled, expected " +
                    size_text(c.table_rows * c.patch_height, c.table_columns * c.patch_width));
  float* positions =
      plan.storage.make<float>(static_cast<std::size_t>(c.num_patches()) * static_cast<std::size_t>(c.embed_dim));
  resample_positions(weights.positions, c.table_rows, c.table_columns, c.embed_dim, c.positions, c.grid_rows(),
                     c.grid_columns(), positions);
  plan.positions = positions;
  return plan;
}

}  // namespace vitrail
