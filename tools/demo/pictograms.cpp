#include "pictograms.hpp"

#include <array>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "signs.hpp"

namespace vitrail::demo {
namespace {

using Path = std::vector<Point>;
using Layers = std::vector<Layer>;
using Kind = Layer::Kind;

void arc(Path& path, Point centre, float rx, float ry, float from, float to) {
  const int steps = std::max(2, static_cast<int>(std::fabs(to - from) / 22.5f));
  for (int i = 0; i <= steps; ++i) {
    const Point d = direction(from + (to - from) * static_cast<float>(i) / static_cast<float>(steps));
    const Point p{centre.x + rx * d.x, centre.y + ry * d.y};
    if (path.empty() || length(p - path.back()) > 1e-4f) path.push_back(p);
  }
}

Path arc_path(Point centre, float rx, float ry, float from, float to) {
  Path path;
  arc(path, centre, rx, ry, from, to);
  return path;
}

Path regular_polygon(int corners, float radius, float first_angle) {
  Path path;
  for (int i = 0; i < corners; ++i) {
    path.push_back(direction(first_angle + 360.0f * static_cast<float>(i) / static_cast<float>(corners)) * radius);
  }
  return path;
}

Path moved(Path path, Point by, float scale_x, float scale_y) {
  for (auto& p : path) p = {p.x * scale_x + by.x, p.y * scale_y + by.y};
  return path;
}

Path turned(Path path, float degrees) {
  for (auto& p : path) p = rotate(p, direction(degrees));
  return path;
}

void add(Layers& layers, Kind kind, Ink ink, float width, Path points, bool bold = false) {
  Point low = points[0], high = points[0];
  if (kind == Kind::ring) {
    low = {points[0].x - points[1].x, points[0].y - points[1].x};
    high = {points[0].x + points[1].x, points[0].y + points[1].x};
  } else {
    for (const Point p : points) {
      low = {std::min(low.x, p.x), std::min(low.y, p.y)};
      high = {std::max(high.x, p.x), std::max(high.y, p.y)};
    }
  }
  layers.push_back({kind, ink, width, bold, std::move(points), low - Point{width, width}, high + Point{width, width}});
}

void disc(Layers& layers, Ink ink, Point centre, float radius) {
  add(layers, Kind::round_stroke, ink, radius, {centre});
}

// ── Plates ──

Layers round_plate(Ink rim, Ink face, float rim_width) {
  Layers layers;
  disc(layers, rim, {}, 1);
  disc(layers, face, {}, 1 - rim_width);
  return layers;
}

Layers square_plate() {
  const Path square{{-0.8f, -0.8f}, {0.8f, -0.8f}, {0.8f, 0.8f}, {-0.8f, 0.8f}};
  Layers layers;
  add(layers, Kind::area, Ink::white, 0.1f, square);
  add(layers, Kind::area, Ink::blue, 0.04f, square);
  return layers;
}

Layers triangle_plate(float first_angle) {
  const float drop = first_angle < 0 ? 0.2f : -0.2f;  // an equilateral triangle's centre is not its box's
  Layers layers;
  add(layers, Kind::area, Ink::red, 0.12f, moved(regular_polygon(3, 0.98f, first_angle), {0, drop}, 1, 1));
  add(layers, Kind::area, Ink::white, 0.05f, moved(regular_polygon(3, 0.66f, first_angle), {0, drop}, 1, 1));
  return layers;
}

// ── Glyphs: skeletons in a box 1 high, centred ──

std::vector<Path> glyph(char c) {
  Path path;
  switch (c) {
    case '0':
    case 'O':
      arc(path, {0, -0.22f}, 0.24f, 0.28f, -180, 0);
      arc(path, {0, 0.22f}, 0.24f, 0.28f, 0, 180);
      path.push_back(path[0]);
      path.push_back(path[1]);  // past the seam, where the cut ends would leave a notch
      return {path};
    case '3':
      arc(path, {0, -0.245f}, 0.23f, 0.255f, -160, 90);
      arc(path, {0, 0.235f}, 0.25f, 0.265f, -70, 155);
      return {path};
    case '5':
      path = {{0.22f, -0.5f}, {-0.17f, -0.5f}, {-0.21f, -0.02f}};
      arc(path, {0, 0.18f}, 0.25f, 0.32f, -125, 150);
      return {path};
    case 'S':
      arc(path, {0, -0.25f}, 0.22f, 0.25f, -20, -260);
      arc(path, {0, 0.25f}, 0.23f, 0.25f, -80, 160);
      return {path};
    case 'T':
      return {{{-0.28f, -0.5f}, {0.28f, -0.5f}}, {{0, -0.5f}, {0, 0.56f}}};
    case 'P':
      path = {{-0.22f, -0.02f}, {-0.22f, -0.5f}};
      arc(path, {0.03f, -0.24f}, 0.24f, 0.26f, -90, 90);
      path.push_back({-0.22f, 0.02f});
      return {path, {{-0.22f, -0.5f}, {-0.22f, 0.56f}}};
    case 'H':
      return {{{-0.26f, -0.56f}, {-0.26f, 0.56f}}, {{0.26f, -0.56f}, {0.26f, 0.56f}}, {{-0.26f, 0}, {0.26f, 0}}};
    default:
      std::abort();
  }
}

void text(Layers& layers, Ink ink, std::string_view letters, Point centre, float height, float advance, float weight) {
  float x = centre.x - advance * height * static_cast<float>(letters.size() - 1) / 2;
  for (const char c : letters) {
    for (auto& path : glyph(c)) {
      add(layers, Kind::stroke, ink, weight * height, moved(std::move(path), {x, centre.y}, height, height), true);
    }
    x += advance * height;
  }
}

// ── Pictograms ──

/// The head of an arrow whose shaft ends at `at` and points along `degrees`.
void arrow_head(Layers& layers, Ink ink, Point at, float degrees, float size) {
  Path head = turned({{size, 0}, {-0.25f * size, -0.95f * size}, {-0.25f * size, 0.95f * size}}, degrees);
  add(layers, Kind::area, ink, 0.02f, moved(std::move(head), at, 1, 1));
}

void turn_arrow(Layers& layers, float side) {
  Path shaft{{-0.3f * side, 0.68f}, {-0.3f * side, 0.1f}};
  for (const Point p : arc_path({0, 0.08f}, 0.3f, 0.3f, -180, -90)) shaft.push_back({p.x * side, p.y});
  shaft.push_back({0.26f * side, -0.22f});
  add(layers, Kind::stroke, Ink::white, 0.125f, std::move(shaft), true);
  arrow_head(layers, Ink::white, {0.26f * side, -0.22f}, side > 0 ? 0.0f : 180.0f, 0.42f);
}

void walker(Layers& layers, Ink ink, Point at, float scale) {
  const auto limb = [&](float width, Path path) {
    add(layers, Kind::round_stroke, ink, width * scale, moved(std::move(path), at, scale, scale));
  };
  limb(0.13f, {{0.03f, -0.8f}});
  limb(0.13f, {{0, -0.46f}, {-0.02f, 0.02f}});
  limb(0.085f, {{0.02f, 0.04f}, {0.22f, 0.36f}, {0.34f, 0.78f}});
  limb(0.085f, {{-0.04f, 0.04f}, {-0.1f, 0.4f}, {-0.36f, 0.76f}});
  limb(0.065f, {{0.04f, -0.5f}, {0.24f, -0.22f}, {0.42f, -0.12f}});
  limb(0.065f, {{-0.05f, -0.5f}, {-0.26f, -0.2f}, {-0.3f, 0.06f}});
}

void bicycle(Layers& layers, Ink ink) {
  const Point rear{-0.42f, 0.22f}, front{0.42f, 0.22f}, pedals{-0.05f, 0.22f}, saddle{-0.19f, -0.22f},
      bars{0.26f, -0.24f};
  for (const Point hub : {rear, front}) add(layers, Kind::ring, ink, 0.05f, {hub, {0.27f, 0}}, true);
  const auto tube = [&](Path path) { add(layers, Kind::round_stroke, ink, 0.045f, std::move(path), true); };
  tube({rear, pedals, bars + Point{0.02f, 0.08f}, saddle + Point{0.03f, 0.08f}, rear});
  tube({pedals, saddle + Point{-0.02f, -0.08f}});
  tube({front, bars, bars + Point{-0.03f, -0.12f}, bars + Point{0.12f, -0.16f}});
  add(layers, Kind::round_stroke, ink, 0.05f, {saddle + Point{-0.13f, -0.09f}, saddle + Point{0.08f, -0.09f}});
}

struct Class {
  std::string_view name;
  Layers (*draw)();
};

Layers speed_limit(std::string_view number) {
  Layers layers = round_plate(Ink::red, Ink::white, 0.2f);
  text(layers, Ink::black, number, {}, 0.78f, 0.78f, 0.1f);
  return layers;
}

constexpr Class classes[class_count] = {
    {"stop",
     [] {
       Layers layers;
       add(layers, Kind::area, Ink::white, 0.04f, regular_polygon(8, 1.0f, 22.5f));
       add(layers, Kind::area, Ink::red, 0.02f, regular_polygon(8, 0.92f, 22.5f));
       text(layers, Ink::white, "STOP", {}, 0.5f, 0.8f, 0.115f);
       return layers;
     }},
    {"yield", [] { return triangle_plate(90); }},
    {"no_entry",
     [] {
       Layers layers = round_plate(Ink::white, Ink::red, 0.05f);
       add(layers, Kind::stroke, Ink::white, 0.17f, {{-0.68f, 0}, {0.68f, 0}});
       return layers;
     }},
    {"no_parking",
     [] {
       Layers layers = round_plate(Ink::red, Ink::blue, 0.2f);
       const Point end = direction(45) * 0.88f;
       add(layers, Kind::round_stroke, Ink::red, 0.1f, {end * -1, end});
       return layers;
     }},
    {"speed_30", [] { return speed_limit("30"); }},
    {"speed_50", [] { return speed_limit("50"); }},
    {"turn_left",
     [] {
       Layers layers = round_plate(Ink::white, Ink::blue, 0.06f);
       turn_arrow(layers, -1);
       return layers;
     }},
    {"turn_right",
     [] {
       Layers layers = round_plate(Ink::white, Ink::blue, 0.06f);
       turn_arrow(layers, 1);
       return layers;
     }},
    {"straight_ahead",
     [] {
       Layers layers = round_plate(Ink::white, Ink::blue, 0.06f);
       add(layers, Kind::stroke, Ink::white, 0.125f, {{0, 0.7f}, {0, -0.2f}}, true);
       arrow_head(layers, Ink::white, {0, -0.25f}, -90, 0.46f);
       return layers;
     }},
    {"roundabout",
     [] {
       Layers layers = round_plate(Ink::white, Ink::blue, 0.06f);
       for (const float turn : {0.0f, 120.0f, 240.0f}) {
         add(layers, Kind::stroke, Ink::white, 0.095f, arc_path({}, 0.52f, 0.52f, turn + 75, turn + 5), true);
         // Tangent at the arc's end, leaning inwards as a chord does.
         arrow_head(layers, Ink::white, direction(turn + 5) * 0.52f, turn + 5 - 97, 0.27f);
       }
       return layers;
     }},
    {"pedestrian",
     [] {
       Layers layers = square_plate();
       add(layers, Kind::area, Ink::white, 0.03f, {{0, -0.7f}, {0.72f, 0.62f}, {-0.72f, 0.62f}});
       walker(layers, Ink::black, {0, 0.14f}, 0.56f);
       return layers;
     }},
    {"bicycle",
     [] {
       Layers layers = round_plate(Ink::white, Ink::blue, 0.06f);
       bicycle(layers, Ink::white);
       return layers;
     }},
    {"priority_road",
     [] {
       const Path diamond{{0, -0.94f}, {0.94f, 0}, {0, 0.94f}, {-0.94f, 0}};
       Layers layers;
       add(layers, Kind::area, Ink::black, 0.1f, diamond);
       add(layers, Kind::area, Ink::white, 0.07f, diamond);
       add(layers, Kind::area, Ink::yellow, 0.03f, moved(diamond, {}, 0.68f, 0.68f));
       return layers;
     }},
    {"parking",
     [] {
       Layers layers = square_plate();
       text(layers, Ink::white, "P", {0.02f, 0}, 1.05f, 1, 0.115f);
       return layers;
     }},
    {"hospital",
     [] {
       Layers layers = square_plate();
       text(layers, Ink::white, "H", {}, 1.02f, 1, 0.115f);
       return layers;
     }},
    {"traffic_light",
     [] {
       Layers layers = triangle_plate(-90);
       add(layers, Kind::area, Ink::black, 0.06f, {{-0.1f, -0.28f}, {0.1f, -0.28f}, {0.1f, 0.38f}, {-0.1f, 0.38f}});
       disc(layers, Ink::red, {0, -0.2f}, 0.095f);
       disc(layers, Ink::amber, {0, 0.05f}, 0.095f);
       disc(layers, Ink::green, {0, 0.3f}, 0.095f);
       return layers;
     }},
};

}  // namespace

std::span<const std::string_view> labels() {
  static const auto names = [] {
    std::array<std::string_view, class_count> result;
    for (int i = 0; i < class_count; ++i) result[i] = classes[i].name;
    return result;
  }();
  return names;
}

std::span<const Layer> pictogram(int label) {
  static const auto pictograms = [] {
    std::array<Layers, class_count> result;
    for (int i = 0; i < class_count; ++i) result[i] = classes[i].draw();
    return result;
  }();
  return pictograms[label];
}

float layer_distance(const Layer& layer, Point p, float extra) {
  const auto& points = layer.points;
  const float width = layer.width + extra;
  if (layer.kind == Kind::area) return polygon_distance(p, points) - width;
  if (layer.kind == Kind::ring) return std::fabs(length(p - points[0]) - points[1].x) - width;
  if (points.size() == 1) return length(p - points[0]) - width;
  float nearest = 1e9f;
  for (std::size_t i = 0; i + 1 < points.size(); ++i) {
    float d = segment_distance(p, points[i], points[i + 1]) - width;
    if (layer.kind == Kind::stroke && (i == 0 || i + 2 == points.size())) {
      const Point along = points[i + 1] - points[i];
      const Point unit = along * (1 / length(along));
      if (i == 0) d = std::max(d, dot(points[i] - p, unit));
      if (i + 2 == points.size()) d = std::max(d, dot(p - points[i + 1], unit));
    }
    nearest = std::min(nearest, d);
  }
  return nearest;
}

}  // namespace vitrail::demo
