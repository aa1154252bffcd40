#include "backdrop.hpp"

namespace vitrail::demo {
namespace {

Color any_color(Random& random, float low, float high) {
  return {random.uniform(low, high), random.uniform(low, high), random.uniform(low, high)};
}

/// The colours that signs use, so that colour alone does not give a sign away.
Color vivid_color(Random& random) {
  static constexpr Color vivid[] = {{0.78f, 0.12f, 0.14f}, {0.1f, 0.3f, 0.66f}, {0.95f, 0.77f, 0.1f},
                                    {0.92f, 0.92f, 0.9f},  {0.1f, 0.1f, 0.12f}, {0.15f, 0.52f, 0.27f},
                                    {0.9f, 0.45f, 0.12f}};
  const Color pure = vivid[random.integer(0, 6)], any = any_color(random, 0.1f, 0.9f);
  return mix(pure, any, random.uniform(0, 0.4f));
}

}  // namespace

Backdrop::Backdrop(Random& random) {
  const float pick = random.uniform();
  kind_ = pick < 0.4f ? Kind::street : pick < 0.57f ? Kind::wall : pick < 0.77f ? Kind::leaves : Kind::jumble;
  noise_seed_ = static_cast<std::uint32_t>(random.bits());
  defocus_ = random.chance(0.4f) ? 0.004f : random.uniform(0.01f, 0.06f);
  horizon_ = random.uniform(0.5f, 0.85f);
  tilt_ = 0.08f * random.peaked();
  grain_ = random.uniform(6, 26);
  brick_ = {random.uniform(0.1f, 0.28f), random.uniform(0.045f, 0.11f)};
  windows_ = random.chance(0.7f) ? static_cast<float>(random.integer(2, 5)) : 0.0f;
  const float asphalt = random.uniform(0.25f, 0.5f);
  ground_ = mix(grey(asphalt), any_color(random, 0.2f, 0.6f), 0.25f);
  switch (kind_) {
    case Kind::street:
      make_street(random);
      break;
    case Kind::wall: {
      const Color any = any_color(random, 0.3f, 0.7f);
      near_ = mix(any, {0.62f, 0.33f, 0.24f}, random.uniform(0.2f, 0.9f));
      far_ = grey(random.uniform(0.45f, 0.8f));
      break;
    }
    case Kind::leaves:
      near_ = mix({0.05f, 0.12f, 0.05f}, {0.2f, 0.14f, 0.06f}, random.uniform());
      far_ = mix({0.4f, 0.58f, 0.2f}, {0.8f, 0.55f, 0.2f}, random.chance(0.3f) ? random.uniform() : 0.0f);
      for (int i = random.integer(0, 6); i > 0; --i) {
        const float size = random.uniform(0.02f, 0.07f);
        const Point at{random.uniform(), random.uniform()};
        shapes_.push_back({Form::disc, at, {size, size}, {1, 0}, 0, {0.9f, 0.93f, 0.8f}});
      }
      break;
    case Kind::jumble:
      near_ = any_color(random, 0.1f, 0.9f);
      far_ = any_color(random, 0.1f, 0.9f);
      for (int i = random.integer(5, 12); i > 0; --i) {
        shapes_.push_back({static_cast<Form>(random.integer(0, 3)),
                           {random.uniform(), random.uniform()},
                           {random.uniform(0.04f, 0.28f), random.uniform(0.04f, 0.28f)},
                           direction(random.uniform(0, 360)),
                           random.uniform(0, 0.35f),
                           any_color(random, 0.05f, 0.95f)});
      }
      break;
  }
  // Distractors: lamps, cars, posters, in the colours and forms of signs, but no pictogram.
  for (int i = random.integer(-1, 4); i > 0; --i) {
    const float size = random.uniform(0.03f, 0.14f);
    const Point half{size, random.chance(0.6f) ? size : size * random.uniform(0.2f, 1)};
    shapes_.push_back({static_cast<Form>(random.integer(0, kind_ == Kind::jumble ? 3 : 2)),
                       {random.uniform(), random.uniform()},
                       half,
                       direction(20 * random.peaked()),
                       random.uniform(0, 0.35f),
                       vivid_color(random)});
  }
}

void Backdrop::make_street(Random& random) {
  const float cloudy = random.uniform();
  near_ = mix({0.28f, 0.52f, 0.85f}, grey(random.uniform(0.5f, 0.85f)), cloudy);
  far_ = mix({0.85f, 0.9f, 0.95f}, {0.98f, 0.78f, 0.55f}, random.chance(0.25f) ? random.uniform() : 0.0f);
  for (float x = random.uniform(-0.2f, 0); x < 1.1f;) {
    const float half = random.uniform(0.06f, 0.2f), height = random.uniform(0.05f, 0.5f);
    const float concrete = random.uniform(0.3f, 0.75f);
    const Color color = mix(grey(concrete), {0.65f, 0.45f, 0.35f}, random.uniform(0, 0.7f));
    const Point centre{x + half, horizon_ - height / 2};
    const float texture = random.uniform(0, 0.35f);
    if (random.chance(0.75f)) shapes_.push_back({Form::box, centre, {half, height / 2}, {1, 0}, texture, color});
    x += 2 * half + (random.chance(0.4f) ? random.uniform(0, 0.3f) : 0.0f);
  }
  for (int i = random.integer(0, 4); i > 0; --i) {
    const float size = random.uniform(0.07f, 0.22f);
    const Point centre{random.uniform(), horizon_ - size * random.uniform(0.2f, 1.2f)};
    const Color green = mix({0.16f, 0.3f, 0.12f}, {0.45f, 0.55f, 0.2f}, random.uniform());
    shapes_.push_back({Form::disc, centre, {size, size}, {1, 0}, 0.35f, green});
  }
}

Color Backdrop::street(Point p, float width) const {
  const float down = clamp01(p.y / horizon_);
  const float cloud = cloud_noise({p.x * 3, p.y * 7}, noise_seed_);
  const Color sky = mix(mix(near_, far_, down), grey(0.95f), 0.7f * clamp01(2.2f * cloud - 1));
  const Color ground = ground_ * (0.75f + 0.4f * cloud_noise({p.x * grain_, p.y * grain_ * 4}, noise_seed_ + 7));
  return mix(sky, ground, coverage(horizon_ - p.y, width));
}

Color Backdrop::wall(Point p, float width) const {
  const float row = std::floor(p.y / brick_.y);
  const float x = p.x / brick_.x + (static_cast<int>(row) % 2 ? 0.5f : 0.0f);
  const float column = std::floor(x);
  const Point inside{(x - column - 0.5f) * brick_.x, (p.y / brick_.y - row - 0.5f) * brick_.y};
  const float d = box_distance(inside, {brick_.x * 0.5f - brick_.y * 0.07f, brick_.y * 0.43f});
  const float tone = cell_noise(static_cast<int>(column), static_cast<int>(row), noise_seed_);
  const float rough = cloud_noise(p * (grain_ * 2), noise_seed_ + 5);
  return mix(far_, near_ * (0.72f + 0.5f * tone), coverage(d, width)) * (0.8f + 0.35f * rough);
}

Color Backdrop::leaves(Point p) const {
  const float broad = value_noise(p * (grain_ * 0.3f), noise_seed_ + 3), fine = cloud_noise(p * grain_, noise_seed_);
  return mix(near_, far_, clamp01(1.6f * (0.45f * broad + 0.75f * fine) - 0.45f));
}

Color Backdrop::at(Point p, float pixel) const {
  const float width = std::max(pixel, defocus_);
  const Point level{p.x, p.y + tilt_ * (p.x - 0.5f)};
  Color color;
  switch (kind_) {
    case Kind::street:
      color = street(level, width);
      break;
    case Kind::wall:
      color = wall(level, width);
      break;
    case Kind::leaves:
      color = leaves(p);
      break;
    case Kind::jumble:
      color = mix(near_, far_, clamp01(p.y + 0.5f * tilt_ * p.x));
      break;
  }
  for (const Shape& shape : shapes_) {
    const Point offset = level - shape.centre;
    const float reach = shape.half.x + shape.half.y + width;
    if (std::fabs(offset.x) > reach || std::fabs(offset.y) > reach) continue;
    const Point q = rotate(offset, {shape.turn.x, -shape.turn.y});
    const float radius = std::min(shape.half.x, shape.half.y);
    float d = 0;
    switch (shape.form) {
      case Form::disc:
        d = length(q) - radius;
        break;
      case Form::ring:
        d = std::fabs(length(q) - radius) - 0.2f * radius;
        break;
      case Form::box:
        d = box_distance(q, shape.half);
        break;
      case Form::triangle: {
        const Point corners[] = {{0, -radius}, {radius, 0.73f * radius}, {-radius, 0.73f * radius}};
        d = polygon_distance(q, corners);
        break;
      }
    }
    const float cover = coverage(d, width);
    if (cover <= 0) continue;
    const float rough = shape.texture > 0.1f ? cloud_noise(p * (grain_ * 1.5f), noise_seed_ + 11) - 0.5f : 0;
    Color paint = shape.color * (1 + 2 * shape.texture * rough);
    if (kind_ == Kind::street && windows_ > 0 && shape.form == Form::box && shape.half.x >= 0.06f &&
        shape.turn.y == 0) {
      const float pane = 2 * shape.half.x / windows_, storey = 0.09f;
      const Point cell{(q.x + shape.half.x) / pane, (q.y + shape.half.y) / storey};
      const Point in_cell{(cell.x - std::floor(cell.x) - 0.5f) * pane, (cell.y - std::floor(cell.y) - 0.5f) * storey};
      const float lit = cell_noise(static_cast<int>(cell.x), static_cast<int>(cell.y), noise_seed_ + 1);
      paint = mix(paint, mix({0.2f, 0.25f, 0.32f}, {0.75f, 0.8f, 0.85f}, lit * lit),
                  0.8f * coverage(box_distance(in_cell, {pane * 0.28f, storey * 0.3f}), width));
    }
    color = mix(color, paint, cover);
  }
  return color;
}

}  // namespace vitrail::demo
