#include "runtime/plan.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/argument_error.hpp"
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
  if (rule == PositionRule::relative) {  // bilinear
    const double at = std::max((i + 0.5) * scale - 0.5, 0.0);
    const int first = std::min(static_cast<int>(at), source - 1);
    out.from = {first, std::min(first + 1, source - 1)};
    out.weight = {1 - (at - first), at - first};
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

Error bad_size(const std::string& name, const std::string& message) {
  return {ErrorCode::invalid_argument, name + ": " + message};
}

/// The multiples of `unit` on both sides of `length`.
std::string nearest(int length, int unit) {
  const int below = length / unit * unit;
  if (below == length) return std::to_string(length);
  return (below > 0 ? std::to_string(below) + " or " : "") + std::to_string(below + unit);
}

/// The size of the pictures the preprocessing makes: timm's rule, or the same proportions. A shorter side that is
/// cropped afterwards keeps its proportion to the longer side of the crop, so that the crop is always inside the
/// picture.
void set_size(PreprocessConfig& p, const VitConfig& own, int height, int width) {
  if (own.timm_crop) {
    const PreprocessConfig of_size = timm_resize(height, width, *own.timm_crop);
    p.resize = of_size.resize;
    p.resize_height = of_size.resize_height;
    p.resize_width = of_size.resize_width;
    p.resample = of_size.resample;
  } else if (p.resize == PreprocessConfig::Resize::shortest_edge) {
    const double from = std::max(own.image_height, own.image_width), to = std::max(height, width);
    const auto scaled = [&](int length) { return std::floor(length / from * to + 1e-9); };
    p.resize_height = p.resize_width = static_cast<int>(scaled(p.resize_height));
    p.longest_edge = static_cast<int>(std::min<double>(scaled(p.longest_edge), max_image_side));
  } else if (p.resize != PreprocessConfig::Resize::none) {
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

Status check_size(const VitConfig& c, int height, int width, const std::string& name) {
  for (const int length : {height, width})
    if (length < 0 || length > limits::image)
      return bad_size(name,
                      "found " + size_text(height, width) + " pixels, expected 1 to " + std::to_string(limits::image));
  if ((height == 0) != (width == 0))
    return bad_size(name, "found " + size_text(height, width) + ", expected both or neither");
  if (height % c.patch_height != 0 || width % c.patch_width != 0)
    return bad_size(name, "found " + size_text(height, width) + " pixels, expected multiples of the patch size " +
                              size_text(c.patch_height, c.patch_width) + ": height " + nearest(height, c.patch_height) +
                              ", width " + nearest(width, c.patch_width));
  const auto tokens = std::int64_t{height / c.patch_height} * (width / c.patch_width) + c.prefix_tokens();
  if (tokens > limits::tokens)
    return bad_size(name, "found " + size_text(height, width) + " pixels, which are " + std::to_string(tokens) +
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

/// Table [distances, heads] of the network's grid → [heads, distances] of the session's; see RelativeBias.
RelativeBias relative_bias(const float* table, const VitConfig& c, Storage& storage) {
  const auto heads = static_cast<std::size_t>(c.num_heads);
  const int rows = 2 * c.grid_rows() - 1, columns = 2 * c.grid_columns() - 1;
  const int table_rows = 2 * c.table_rows - 1, table_columns = 2 * c.table_columns - 1;
  const auto pairs = static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns), count = pairs + 3;
  std::vector<float> resampled(pairs * heads);
  resample_positions(table, table_rows, table_columns, c.num_heads, PositionRule::relative, rows, columns,
                     resampled.data());
  const float* of_cls = table + static_cast<std::size_t>(table_rows) * static_cast<std::size_t>(table_columns) * heads;
  float* dst = storage.make<float>(heads * count);
  const float scale = std::sqrt(static_cast<float>(c.head_dim()));
  for (std::size_t h = 0; h < heads; ++h) {
    float* row = dst + h * count;
    // transformers counts from the key to the query, this table from the query to the key: back to front.
    for (std::size_t i = 0; i < pairs; ++i) row[i] = resampled[(pairs - 1 - i) * heads + h] * scale;
    for (std::size_t i = 0; i < 3; ++i) row[pairs + i] = of_cls[i * heads + h] * scale;
  }
  return {c.grid_rows(), c.grid_columns(), dst};
}

/// transformers resamples a decoder's positions along the patches counted in one row, whatever the picture's shape.
std::unique_ptr<Plan> decoder_plan(const Decoder& decoder, const VitConfig& encoder) {
  auto plan = std::make_unique<Plan>();
  VitConfig& c = plan->config = decoder.config;
  c.image_height = encoder.image_height;
  c.image_width = encoder.image_width;
  const int table = c.table_rows * c.table_columns;
  plan->positions = decoder.positions + c.embed_dim;
  if (c.num_patches() == table) return plan;
  float* positions =
      plan->storage.make<float>(static_cast<std::size_t>(c.num_patches()) * static_cast<std::size_t>(c.embed_dim));
  resample_positions(plan->positions, 1, table, c.embed_dim, PositionRule::bicubic, 1, c.num_patches(), positions);
  plan->positions = positions;
  return plan;
}

}  // namespace

void RelativeBias::add(int head, int query, float* scores) const {
  const int width = 2 * columns - 1, pairs = (2 * rows - 1) * width;
  const float* t = table + static_cast<std::ptrdiff_t>(head) * (pairs + 3);
  if (query == 0) {
    scores[0] += t[pairs + 2];
    for (int i = 1; i <= rows * columns; ++i) scores[i] += t[pairs];
    return;
  }
  scores[0] += t[pairs + 1];
  const int y = (query - 1) / columns, x = (query - 1) % columns;
  for (int row = 0; row < rows; ++row) {
    const float* biases = t + (row - y + rows - 1) * width + columns - 1 - x;
    float* of_row = scores + 1 + row * columns;
    for (int i = 0; i < columns; ++i) of_row[i] += biases[i];
  }
}

Extent extent_of(const Plan& plan) {
  const VitConfig& c = plan.config;
  Extent e{
      c.num_tokens(), c.embed_dim,     c.mlp_dim,      c.num_heads,
      c.head_dim(),   c.num_patches(), c.patch_size(), c.attends_class_apart() ? c.class_tokens() * c.num_heads : 0};
  if (!plan.decoder) return e;
  const VitConfig& d = plan.decoder->config;
  e.embed_dim = std::max(e.embed_dim, d.embed_dim);
  e.mlp_dim = std::max(e.mlp_dim, d.mlp_dim);
  e.num_heads = std::max(e.num_heads, d.num_heads);
  e.head_dim = std::max(e.head_dim, d.head_dim());
  return e;
}

void resample_positions(const float* table, int rows, int columns, int dim, PositionRule rule, int new_rows,
                        int new_columns, float* dst) {
  const auto D = static_cast<std::size_t>(dim);
  std::vector<double> wide(
      addressable<double>(static_cast<std::uint64_t>(rows) * static_cast<std::uint64_t>(new_columns) * D));
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

Result<PatchGrid> Plan::pixel_grid(const VitConfig& c, const Kernels& kernels) {
  return PatchGrid::make({.height = c.image_height,
                          .width = c.image_width,
                          .channels = c.channels,
                          .patch_height = c.patch_height,
                          .patch_width = c.patch_width},
                         kernels);
}

Result<Plan> make_plan(const Weights& weights, const Kernels& kernels, int height, int width, const std::string& name) {
  Plan plan;
  VitConfig& c = plan.config = weights.config;
  if (auto status = check_size(c, height, width, name); !status) return status.error();
  if (height != 0 && (height != c.image_height || width != c.image_width)) {
    set_size(c.preprocess, weights.config, height, width);
    c.image_height = height;
    c.image_width = width;
  }
  if (weights.decoder) {
    plan.decoder = decoder_plan(*weights.decoder, c);
    auto grid = Plan::pixel_grid(c, kernels);
    if (!grid) return grid.error();
    plan.grid = *grid;
  }
  if (c.positions == PositionRule::rotary) {
    rotary(plan);
    return plan;
  }
  const bool own_size = c.grid_rows() == c.table_rows && c.grid_columns() == c.table_columns;
  if (!own_size && c.table_rows != c.table_columns)
    return bad_size(name, "found " + size_text(c.image_height, c.image_width) + " pixels; the position table of " +
                              size_text(c.table_rows, c.table_columns) +
                              " patches is not square, and only square tables are resampled, expected " +
                              size_text(c.table_rows * c.patch_height, c.table_columns * c.patch_width));
  if (c.positions == PositionRule::relative) {
    for (const Block& block : weights.blocks) {
      // One table may serve all blocks.
      const bool same = !plan.biases.empty() && block.bias == weights.blocks[0].bias;
      plan.biases.push_back(same ? plan.biases[0] : relative_bias(block.bias, c, plan.storage));
    }
    return plan;
  }
  plan.positions = weights.positions;
  if (own_size) return plan;
  float* positions =
      plan.storage.make<float>(static_cast<std::size_t>(c.num_patches()) * static_cast<std::size_t>(c.embed_dim));
  resample_positions(weights.positions, c.table_rows, c.table_columns, c.embed_dim, c.positions, c.grid_rows(),
                     c.grid_columns(), positions);
  plan.positions = positions;
  return plan;
}

}  // namespace vitrail
