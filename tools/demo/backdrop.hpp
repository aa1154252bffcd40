// What stands behind the sign? A street, a wall, leaves or a jumble of shapes: picked and parametrised by the random
// numbers given.
#pragma once

#include <cstdint>
#include <vector>

#include "random.hpp"
#include "shapes.hpp"

namespace vitrail::demo {

class Backdrop {
 public:
  explicit Backdrop(Random& random);

  /// The colour at p (the picture is the unit square), where edges are `pixel` wide or as wide as the lens leaves them.
  Color at(Point p, float pixel) const;

 private:
  enum class Kind { street, wall, leaves, jumble };
  enum class Form { disc, box, triangle, ring };
  struct Shape {
    Form form;
    Point centre, half, turn;
    float texture;  ///< how much noise shows on it
    Color color;
  };

  void make_street(Random& random);
  Color street(Point p, float width) const;
  Color wall(Point p, float width) const;
  Color leaves(Point p) const;

  Kind kind_;
  std::uint32_t noise_seed_;
  float defocus_;     ///< width of the edges far behind the sign
  Color near_, far_;  ///< the two colours of the ground: sky and horizon, bricks and mortar, dark and light leaves
  Color ground_;
  float horizon_;  ///< y
  float tilt_;     ///< of the horizon
  float grain_;    ///< cells of texture across the picture
  Point brick_;    ///< size
  float windows_;  ///< per building width, 0 for none
  std::vector<Shape> shapes_;
};

}  // namespace vitrail::demo
