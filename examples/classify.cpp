// What is in a picture: classify MODEL_FOLDER PICTURE
#include <vitrail/codecs.hpp>
#include <vitrail/vitrail.hpp>

#include <cstdio>

int main(int argc, char** argv) try {
  if (argc != 3) return std::fprintf(stderr, "usage: %s MODEL_FOLDER PICTURE\n", argv[0]), 2;
  const auto model = vitrail::Model::load(argv[1]).value();  // .value() throws; `if (!result) result.error()` does not
  auto session = model.session({.outputs = vitrail::Outputs::logits}).value();  // and nothing else is computed
  const auto picture = vitrail::load_image(argv[2]).value();
  const auto output = session.run(picture).value();
  for (auto [label, probability] : vitrail::top_k(output.logits, 3)) {
    const auto& names = model.info().labels;
    std::printf("%6.2f %%  %s\n", 100 * probability,
                names.empty() ? std::to_string(label).c_str() : names[label].c_str());
  }
} catch (const vitrail::Exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
