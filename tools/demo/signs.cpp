#include "signs.hpp"

#include <array>
#include <cassert>

#include "backdrop.hpp"
#include "pictograms.hpp"
#include "random.hpp"
#include "shapes.hpp"

namespace vitrail::demo {
namespace {

/// Where the sign hangs: the projective map from the picture (the unit square) back to the sign's plane.
struct Pose {
  std::array<float, 9> to_plane;
  float radius;  ///< of the plate, in picture widths
  Point centre, upright;

  explicit Pose(Random& random) {
    radius = random.uniform(0.22f, 0.42f);
    const float slack = std::max(0.0f, 0.52f - radius);
    centre = {0.5f + slack * random.peaked(), 0.5f + slack * random.peaked()};
    const Point roll = direction(22 * random.peaked()), yaw = direction(50 * random.peaked());
    const Point pitch = direction(35 * random.peaked());
    upright = roll;
    // Columns of pitch · yaw · roll for the plane's x and y axes; the eye is `distance` radii away.
    const float distance = random.uniform(3.5f, 9);
    const auto axis = [&](Point p) {
      const Point r = rotate(p, roll);
      const float x = r.x * yaw.x, z = -r.x * yaw.y;
      return std::array<float, 3>{x, r.y * pitch.x - z * pitch.y, r.y * pitch.y + z * pitch.x};
    };
    const auto u = axis({1, 0}), v = axis({0, 1});
    const std::array<float, 9> to_picture = {radius * u[0] + centre.x * u[2] / distance,
                                             radius * v[0] + centre.x * v[2] / distance,
                                             centre.x,
                                             radius * u[1] + centre.y * u[2] / distance,
                                             radius * v[1] + centre.y * v[2] / distance,
                                             centre.y,
                                             u[2] / distance,
                                             v[2] / distance,
                                             1};
    to_plane = adjugate(to_picture);
  }

  /// The inverse up to a factor, which a projective map does not feel.
  static std::array<float, 9> adjugate(const std::array<float, 9>& m) {
    return {m[4] * m[8] - m[5] * m[7], m[2] * m[7] - m[1] * m[8], m[1] * m[5] - m[2] * m[4],
            m[5] * m[6] - m[3] * m[8], m[0] * m[8] - m[2] * m[6], m[2] * m[3] - m[0] * m[5],
            m[3] * m[7] - m[4] * m[6], m[1] * m[6] - m[0] * m[7], m[0] * m[4] - m[1] * m[3]};
  }

  Point plane(Point p) const {
    const auto& m = to_plane;
    const float w = 1 / (m[6] * p.x + m[7] * p.y + m[8]);
    return {(m[0] * p.x + m[1] * p.y + m[2]) * w, (m[3] * p.x + m[4] * p.y + m[5]) * w};
  }
};

/// The plate: how it was printed, how it aged, what the sun does on it.
struct Sign {
  std::span<const Layer> layers;
  Pose pose;
  std::array<Color, ink_count> inks;
  float weight;       ///< extra width of bold lines
  float dirt, glare;  ///< strengths
  Point glare_at;     ///< on the plane
  float dirt_scale;
  std::uint32_t noise_seed;
  bool has_pole;
  float pole_width;
  Color pole;

  Sign(Random& random, int label) : layers(pictogram(label)), pose(random) {
    static constexpr Color base[ink_count] = {{0.94f, 0.94f, 0.93f}, {0.08f, 0.08f, 0.09f}, {0.76f, 0.09f, 0.12f},
                                              {0.06f, 0.28f, 0.62f}, {0.96f, 0.76f, 0.08f}, {0.95f, 0.55f, 0.08f},
                                              {0.1f, 0.55f, 0.25f}};
    const float age = random.chance(0.5f) ? 0.0f : random.uniform(0, 0.55f);
    for (int i = 0; i < ink_count; ++i) {
      const Color shifted = base[i] + Color{0.1f * random.peaked(), 0.1f * random.peaked(), 0.1f * random.peaked()};
      inks[i] = mix(shifted, mix(grey(luminance(shifted)), grey(0.7f), 0.4f), age);
    }
    weight = 0.03f * random.peaked();
    dirt = random.chance(0.5f) ? 0.0f : random.uniform(0, 0.9f);
    dirt_scale = random.uniform(1.2f, 5);
    glare = random.chance(0.65f) ? 0.0f : random.uniform(0.2f, 0.9f);
    glare_at = {1.2f * random.peaked(), 1.2f * random.peaked()};
    noise_seed = static_cast<std::uint32_t>(random.bits());
    has_pole = random.chance(0.7f);
    pole_width = random.uniform(0.03f, 0.07f);
    const float zinc = random.uniform(0.3f, 0.75f);
    pole = Color{zinc, zinc, zinc * random.uniform(0.9f, 1.08f)};
  }

  Color over(Color behind, Point p, float pixel) const {
    const float edge = 1.2f * pixel / pose.radius;
    const Point q = pose.plane(p);
    if (has_pole) {
      const Point offset = rotate(p - pose.centre, {pose.upright.x, -pose.upright.y});
      const float half = pole_width * pose.radius * 2, across = offset.x / half;
      if (offset.y > 0) {
        const Color round = pole * (0.55f + 0.45f * clamp01(1 - across * across) + 0.25f * clamp01(-across));
        behind = mix(behind, round, coverage(std::fabs(offset.x) - half, pixel));
      }
    }
    if (dot(q, q) > 2.6f) return behind;
    const float on_plate = coverage(layer_distance(layers[0], q, 0), edge);
    if (on_plate <= 0) return behind;
    Color color = inks[static_cast<int>(layers[0].ink)];
    for (const Layer& layer : layers.subspan(1)) {
      const float extra = layer.bold ? weight : 0.0f, reach = edge + extra;
      if (q.x < layer.low.x - reach || q.x > layer.high.x + reach) continue;
      if (q.y < layer.low.y - reach || q.y > layer.high.y + reach) continue;
      const float cover = coverage(layer_distance(layer, q, extra), edge);
      if (cover > 0) color = mix(color, inks[static_cast<int>(layer.ink)], cover);
    }
    if (dirt > 0) {
      const float patch = clamp01(2.5f * cloud_noise(q * dirt_scale, noise_seed) - 1.15f);
      color = mix(color, {0.3f, 0.26f, 0.2f}, dirt * patch);
    }
    if (glare > 0) {
      const Point from = q - glare_at;
      color = mix(color, grey(1), glare * clamp01(1 - dot(from, from) / 0.7f));
    }
    return mix(behind, color, on_plate);
  }
};

/// Something between the eye and the sign: a leaf or a sticker, a branch, or the edge of a wall.
struct Occluder {
  Point centre, turn;
  Point half;
  bool rounded;
  Color color;
  std::uint32_t noise_seed;

  Occluder(Random& random, const Pose& pose) {
    // At least half of it misses the middle of the sign.
    const Point towards = direction(random.uniform(0, 360));
    centre = pose.centre + towards * (pose.radius * random.uniform(0.45f, 1.25f));
    turn = direction(random.uniform(0, 360));
    half = {pose.radius * random.uniform(0.12f, 0.42f), pose.radius * random.uniform(0.08f, 0.3f)};
    rounded = random.chance(0.75f);
    if (!rounded) half = {2, pose.radius * random.uniform(0.03f, 0.08f)};
    if (rounded) {
      color = mix({0.12f, 0.26f, 0.08f}, {0.62f, 0.5f, 0.15f}, random.uniform());
    } else {
      color = mix({0.2f, 0.14f, 0.1f}, grey(0.5f), random.uniform());
    }
    noise_seed = static_cast<std::uint32_t>(random.bits());
  }

  Color over(Color behind, Point p, float pixel) const {
    Point q = rotate(p - centre, {turn.x, -turn.y});
    const float wobble = 0.35f * (value_noise(p * 18, noise_seed) - 0.5f);
    float d;
    if (rounded) {
      const Point scaled{q.x / half.x, q.y / half.y};
      d = (length(scaled) - 1 + 2 * wobble) * half.y;
    } else {
      d = std::fabs(q.y + 0.05f * wobble) - half.y;
    }
    const float cover = coverage(d, std::max(pixel, 0.012f));
    if (cover <= 0) return behind;
    const float vein =
        rounded ? 0.75f + 0.5f * value_noise(p * 40, noise_seed + 1) : 0.8f + 0.4f * value_noise(q * 60, noise_seed);
    return mix(behind, color * vein, cover);
  }
};

/// Everything between the scene and the bytes: light, lens and sensor.
struct Camera {
  Point slope;  ///< illumination gradient across the picture
  float exposure, contrast, lift;
  Color tint;
  bool has_shadow;
  Point shadow_at, shadow_normal;
  float shadow, shadow_width;
  Point blur;  ///< radii in picture widths; unequal when the camera moved
  float noise;
  float vignette;

  explicit Camera(Random& random) {
    const Point brightest = direction(random.uniform(0, 360));
    slope = brightest * random.uniform(0, 0.55f);
    const bool night = random.chance(0.1f);
    exposure = night ? random.uniform(0.35f, 0.6f) : random.uniform(0.75f, 1.35f);
    contrast = random.uniform(0.65f, 1.1f);
    lift = random.uniform(0, 0.45f) * std::max(0.0f, 1 - contrast);
    const float warm = 0.14f * random.peaked();
    tint = {1 + warm, 1 + 0.04f * random.peaked(), 1 - warm};
    has_shadow = random.chance(0.35f);
    shadow_at = {random.uniform(0.2f, 0.8f), random.uniform(0.2f, 0.8f)};
    shadow_normal = direction(random.uniform(0, 360));
    shadow = random.uniform(0.25f, 0.55f);
    shadow_width = random.uniform(0.01f, 0.12f);
    const float soft = random.chance(0.35f) ? 0.0f : random.uniform(0, 0.026f);
    const float moved = random.chance(0.8f) ? 0.0f : random.uniform(0.01f, 0.036f);
    blur = random.chance(0.6f) ? Point{soft + moved, soft} : Point{soft, soft + moved};
    noise = night ? random.uniform(0.02f, 0.08f) : random.uniform(0.004f, 0.06f);
    vignette = random.uniform(0, 0.5f);
  }

  Color light(Color c, Point p) const {
    const Point from{p.x - 0.5f, p.y - 0.5f};
    float level = exposure * (1 + dot(from, slope)) * (1 - vignette * dot(from, from));
    if (has_shadow) level *= 1 - shadow * coverage(dot(p - shadow_at, shadow_normal), shadow_width);
    const Color lit = c * tint * level;
    return lit * contrast + grey(lift);
  }
};

using Plane = std::vector<Color>;

/// One pass of a separable blur: weights (1 − (i/radius)²)², because a Gaussian would need exp.
void blur_lines(const Plane& src, Plane& dst, int size, float radius, int step, int line) {
  const int reach = static_cast<int>(radius);
  std::vector<float> weights(reach + 1);
  float sum = 0;
  for (int i = 0; i <= reach; ++i) {
    const float t = static_cast<float>(i) / radius, w = (1 - t * t) * (1 - t * t);
    weights[i] = w;
    sum += i == 0 ? w : 2 * w;
  }
  for (auto& w : weights) w /= sum;
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      Color color;
      for (int i = -reach; i <= reach; ++i) {
        const int at = std::clamp(x + i, 0, size - 1);
        color = color + src[y * line + at * step] * weights[i < 0 ? -i : i];
      }
      dst[y * line + x * step] = color;
    }
  }
}

void blur(Plane& picture, int size, Point radius) {
  // A radius of one pixel is the identity.
  const float rx = radius.x * static_cast<float>(size) + 1, ry = radius.y * static_cast<float>(size) + 1;
  Plane other(picture.size());
  if (rx > 1.05f) {
    blur_lines(picture, other, size, rx, 1, size);
    picture.swap(other);
  }
  if (ry > 1.05f) {
    blur_lines(picture, other, size, ry, size, 1);
    picture.swap(other);
  }
}

std::uint8_t to_byte(float x) { return static_cast<std::uint8_t>(clamp01(x) * 255 + 0.5f); }

}  // namespace

std::vector<std::uint8_t> draw_sign(std::uint64_t seed, int label, int size) {
  assert(label >= 0 && label < class_count && size > 0);
  Random random(mix_bits(seed) ^ static_cast<std::uint64_t>(label));
  const Backdrop backdrop(random);
  const Sign sign(random, label);
  std::vector<Occluder> occluders;
  for (int i = random.integer(-1, 2); i > 0; --i) occluders.emplace_back(random, sign.pose);
  const Camera camera(random);

  const float pixel = 1 / static_cast<float>(size);
  Plane picture(static_cast<std::size_t>(size) * size);
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      const Point p{(static_cast<float>(x) + 0.5f) * pixel, (static_cast<float>(y) + 0.5f) * pixel};
      Color color = sign.over(backdrop.at(p, pixel), p, pixel);
      for (const Occluder& occluder : occluders) color = occluder.over(color, p, pixel);
      picture[static_cast<std::size_t>(y) * size + x] = camera.light(color, p);
    }
  }
  blur(picture, size, camera.blur);

  std::vector<std::uint8_t> bytes;
  bytes.reserve(picture.size() * 3);
  for (const Color& c : picture) {
    // Mostly the same in all channels, as in a debayered picture; the sum of uniforms is near enough to a Gaussian.
    const float a = random.peaked(), b = random.peaked(), shared = a + b;
    for (const float value : {c.r, c.g, c.b})
      bytes.push_back(to_byte(value + camera.noise * (shared + 0.8f * random.peaked())));
  }
  return bytes;
}

}  // namespace vitrail::demo
