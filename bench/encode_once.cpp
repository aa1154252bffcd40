// encode_once ARCH REPETITIONS: encodes a flat picture with random int8 weights on one thread, for instruction counts.
#include <cstdio>
#include <cstdlib>

#include "vitrail/vitrail.hpp"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto model = vitrail::Model::random(argv[1], {}).value();
  auto session = model.session().value();
  vitrail::Image image(model.info().image_width, model.info().image_height, vitrail::PixelFormat::rgb8);
  for (int y = 0; y < image.height(); ++y)
    for (std::size_t i = 0; i < image.row_bytes(); ++i) image.row(y)[i] = static_cast<std::uint8_t>(y * 7 + i * 13);
  for (int i = std::atoi(argv[2]); i > 0; --i)
    if (!session.run(image)) return 1;
  std::printf("macs %llu\n%s", static_cast<unsigned long long>(model.info().macs), session.describe().c_str());
}
