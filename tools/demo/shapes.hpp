// Points, colours, signed distances and smooth noise: what both the signs and the scenes behind them are drawn with.
// x runs right and y runs down; a signed distance is negative inside.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "random.hpp"

namespace vitrail::demo {

struct Point {
  float x = 0, y = 0;
};
constexpr Point operator+(Point a, Point b) { return {a.x + b.x, a.y + b.y}; }
constexpr Point operator-(Point a, Point b) { return {a.x - b.x, a.y - b.y}; }
constexpr Point operator*(Point a, float s) { return {a.x * s, a.y * s}; }
constexpr float dot(Point a, Point b) { return a.x * b.x + a.y * b.y; }
inline float length(Point a) { return std::sqrt(dot(a, a)); }

/// Display RGB, 0 … 1.
struct Color {
  float r = 0, g = 0, b = 0;
};
constexpr Color operator+(Color a, Color b) { return {a.r + b.r, a.g + b.g, a.b + b.b}; }
constexpr Color operator*(Color a, float s) { return {a.r * s, a.g * s, a.b * s}; }
constexpr Color operator*(Color a, Color b) { return {a.r * b.r, a.g * b.g, a.b * b.b}; }
constexpr Color mix(Color a, Color b, float t) { return a + (b + a * -1.0f) * t; }
constexpr Color grey(float v) { return {v, v, v}; }
constexpr float luminance(Color c) { return 0.299f * c.r + 0.587f * c.g + 0.114f * c.b; }

constexpr float clamp01(float x) { return x < 0 ? 0 : x > 1 ? 1 : x; }
constexpr float smooth_step(float x) { return x * x * (3 - 2 * x); }

/// How much of a pixel an edge at signed distance `distance` leaves covered, if the edge is `width` wide.
constexpr float coverage(float distance, float width) { return clamp01(0.5f - distance / width); }

/// The unit vector at an angle, 0° to the right and 90° down. The series is good to 1e-6, and libm's own would differ
/// by machine.
inline Point direction(float degrees) {
  const float turns = degrees / 360 - std::floor(degrees / 360 + 0.5f);  // -0.5 … 0.5
  const float half = turns * 3.14159265358979f, h2 = half * half;        // sin and cos of half the angle: short series
  const float s = half * (1 - h2 / 6 * (1 - h2 / 20 * (1 - h2 / 42 * (1 - h2 / 72 * (1 - h2 / 110)))));
  const float c = 1 - h2 / 2 * (1 - h2 / 12 * (1 - h2 / 30 * (1 - h2 / 56 * (1 - h2 / 90 * (1 - h2 / 132)))));
  return {c * c - s * s, 2 * s * c};
}

inline Point rotate(Point p, Point unit) { return {p.x * unit.x - p.y * unit.y, p.x * unit.y + p.y * unit.x}; }

inline float segment_distance(Point p, Point a, Point b) {
  const Point ap = p - a, ab = b - a;
  return length(ap - ab * clamp01(dot(ap, ab) / dot(ab, ab)));
}

inline float box_distance(Point p, Point half) {
  const Point d{std::fabs(p.x) - half.x, std::fabs(p.y) - half.y};
  return length({std::max(d.x, 0.0f), std::max(d.y, 0.0f)}) + std::min(std::max(d.x, d.y), 0.0f);
}

/// A closed polygon, convex or not.
inline float polygon_distance(Point p, std::span<const Point> polygon) {
  float nearest = dot(p - polygon[0], p - polygon[0]);
  bool inside = false;
  for (std::size_t i = 0, j = polygon.size() - 1; i < polygon.size(); j = i++) {
    const Point a = polygon[i], edge = polygon[j] - a, ap = p - a;
    const Point to_edge = ap - edge * clamp01(dot(ap, edge) / dot(edge, edge));
    nearest = std::min(nearest, dot(to_edge, to_edge));
    const bool crosses = (p.y >= a.y) != (p.y >= polygon[j].y);
    if (crosses && (edge.x * ap.y < edge.y * ap.x) == (edge.y > 0)) inside = !inside;
  }
  return inside ? -std::sqrt(nearest) : std::sqrt(nearest);
}

/// A number in [0, 1) for every cell of an integer grid.
inline float cell_noise(int x, int y, std::uint32_t seed) {
  std::uint32_t h = static_cast<std::uint32_t>(x) * 0x8da6b343u ^ static_cast<std::uint32_t>(y) * 0xd8163841u ^ seed;
  h = (h ^ (h >> 15)) * 0x2c1b3c6du;
  h = (h ^ (h >> 12)) * 0x297a2d39u;
  return static_cast<float>((h ^ (h >> 15)) >> 8) * 0x1p-24f;
}

/// Smooth noise in [0, 1): cells one unit wide.
inline float value_noise(Point p, std::uint32_t seed) {
  const float fx = std::floor(p.x), fy = std::floor(p.y);
  const int x = static_cast<int>(fx), y = static_cast<int>(fy);
  const float tx = smooth_step(p.x - fx), ty = smooth_step(p.y - fy);
  const float top = cell_noise(x, y, seed) * (1 - tx) + cell_noise(x + 1, y, seed) * tx;
  const float bottom = cell_noise(x, y + 1, seed) * (1 - tx) + cell_noise(x + 1, y + 1, seed) * tx;
  return top * (1 - ty) + bottom * ty;
}

/// Three octaves of value_noise: clouds, leaves, dirt. Still in [0, 1).
inline float cloud_noise(Point p, std::uint32_t seed) {
  return (4 * value_noise(p, seed) + 2 * value_noise(p * 2.03f, seed + 1) + value_noise(p * 4.1f, seed + 2)) / 7;
}

}  // namespace vitrail::demo
