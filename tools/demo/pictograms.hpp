// What does each sign look like, face on? A list of layers, painted in order on a plane where the plate is about 2
// units wide.
#pragma once

#include <span>
#include <vector>

#include "shapes.hpp"

namespace vitrail::demo {

enum class Ink { white, black, red, blue, yellow, amber, green };
inline constexpr int ink_count = 7;

struct Layer {
  enum class Kind {
    area,          ///< the inside of a polygon, grown by `width`
    stroke,        ///< a path `width` to either side, cut straight at its ends
    round_stroke,  ///< the same with round ends; one point makes a disc
    ring,          ///< points[0] is the centre, points[1].x the radius, `width` to either side
  };
  Kind kind;
  Ink ink;
  float width;
  bool bold;  ///< a line whose weight may vary from sign to sign
  std::vector<Point> points;
  Point low, high;  ///< bounding box
};

/// Signed distance to a layer whose line is `extra` wider.
float layer_distance(const Layer& layer, Point p, float extra);

/// The layers of class `label`; layers[0] is the whole plate.
std::span<const Layer> pictogram(int label);

}  // namespace vitrail::demo
