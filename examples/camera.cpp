// Frames as a camera driver hands them over (BGRA, rows with a gap between them), read where they lie:
// camera MODEL_FOLDER. No codec is linked. The frames are made up; a session is made once and run on each of them.
#include <vitrail/vitrail.hpp>

#include <cstdint>
#include <cstdio>
#include <vector>

namespace {

constexpr int width = 320, height = 240;
constexpr std::ptrdiff_t stride_bytes = 1344;  // 320 · 4 = 1280 bytes of pixels and a gap

// A bright square that wanders over a grey gradient.
void fill(std::vector<std::uint8_t>& frame, int number) {
  const int left = 20 + 30 * number;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const bool square = x >= left && x < left + 80 && y >= 80 && y < 160;
      std::uint8_t* bgra = frame.data() + y * stride_bytes + 4 * x;
      for (int c = 0; c < 3; ++c) bgra[c] = square ? 240 : static_cast<std::uint8_t>(y / 2);
      bgra[3] = 255;
    }
  }
}

int run(const char* folder) {
  auto model = vitrail::Model::load(folder);
  if (!model) return std::fprintf(stderr, "%s\n", model.error().message.c_str()), 1;
  auto session = model->session({.threads = 2, .outputs = vitrail::Outputs::logits});
  if (!session) return std::fprintf(stderr, "%s\n", session.error().message.c_str()), 1;

  std::vector<std::uint8_t> frame(static_cast<std::size_t>(stride_bytes) * height);
  for (int number = 0; number < 8; ++number) {
    fill(frame, number);
    auto output = session->run({frame.data(), width, height, stride_bytes, vitrail::PixelFormat::bgra8});
    if (!output) return std::fprintf(stderr, "frame %d: %s\n", number, output.error().message.c_str()), 1;
    const auto best = vitrail::top_k(output->logits, 1);
    if (best.empty()) return std::fprintf(stderr, "%s has no classification head\n", folder), 1;
    std::printf("frame %d: label %d, %.1f %%, %.2f ms to resize, %.2f ms to encode\n", number, best[0].index,
                100 * best[0].probability, session->timing().preprocess_ms, session->timing().encode_ms);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: %s MODEL_FOLDER\n", argv[0]), 2;
  return run(argv[1]);
}
