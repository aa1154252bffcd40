// draw_signs: writes sets of pictures for train.py.
//
//   draw_signs --seed S --first I --count N --size 64 -o pictures.npy --labels-out labels.npy
//
//       u8 [N, size, size, 3] and s32 [N]
//
//   draw_signs --samples DIR
//
//       two pictures of every class, <label>-<n>.ppm
//
// Picture i is draw_sign(S + i, label_of(i), size) for i = I … I + N − 1.
#include <array>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>

#include "signs.hpp"

namespace {

using namespace vitrail::demo;

struct Options {
  std::uint64_t seed = training_seed, first = 0, count = 0;
  int size = 64;
  std::string pictures, labels, samples;
};

int usage() {
  std::cerr
      << "usage: draw_signs [--seed S] [--first I] --count N [--size 64] -o pictures.npy --labels-out labels.npy\n"
         "       draw_signs --samples DIR\n"
         "seeds: training "
      << training_seed << ", validation " << validation_seed << ", held-out " << held_out_seed << ", samples "
      << samples_seed << '\n';
  return 2;
}

template <class T>
bool parse(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view key = argv[i], value = argv[i + 1];
    bool known = true;
    if (key == "--seed")
      known = parse(value, options.seed);
    else if (key == "--first")
      known = parse(value, options.first);
    else if (key == "--count")
      known = parse(value, options.count);
    else if (key == "--size")
      known = parse(value, options.size) && options.size > 0 && options.size <= 4096;
    else if (key == "-o")
      options.pictures = value;
    else if (key == "--labels-out")
      options.labels = value;
    else if (key == "--samples")
      options.samples = value;
    else
      known = false;
    if (!known) return false;
  }
  return argc > 1 && argc % 2 == 1;
}

/// The header of a version 1.0 .npy file, padded so that the data starts at a multiple of 64 bytes.
std::string npy_header(std::string_view type, const std::string& shape) {
  std::string dict = "{'descr': '" + std::string(type) + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  while ((10 + dict.size() + 1) % 64 != 0) dict += ' ';
  dict += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(dict.size() & 255);
  header += static_cast<char>(dict.size() >> 8);
  return header + dict;
}

bool write_set(const Options& options) {
  std::ofstream pictures(options.pictures, std::ios::binary), labels_file(options.labels, std::ios::binary);
  const std::string n = std::to_string(options.count), side = std::to_string(options.size);
  pictures << npy_header("|u1", n + ", " + side + ", " + side + ", 3");
  labels_file << npy_header("<i4", n + ",");
  for (std::uint64_t i = options.first; i < options.first + options.count; ++i) {
    const int label = label_of(i);
    const auto bytes = draw_sign(options.seed + i, label, options.size);
    pictures.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    const std::array<char, 4> little_endian{static_cast<char>(label), 0, 0, 0};
    labels_file.write(little_endian.data(), little_endian.size());
  }
  return pictures.flush() && labels_file.flush();
}

bool write_samples(const std::string& directory) {
  // The first of a class becomes a PNG, the second a JPEG, which noise costs less.
  constexpr int sizes[2][4] = {{128, 144, 160, 176}, {192, 240, 288, 320}};
  for (int i = 0; i < 2 * class_count; ++i) {
    const int label = label_of(i), n = i / class_count + 1, size = sizes[n - 1][label % 4];
    const auto bytes = draw_sign(samples_seed + i, label, size);
    const std::string path = directory + '/' + std::string(labels()[label]) + '-' + std::to_string(n) + ".ppm";
    std::ofstream file(path, std::ios::binary);
    file << "P6\n" << size << ' ' << size << "\n255\n";
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (!file.flush()) return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--labels") {
    for (const auto label : labels()) std::cout << label << '\n';
    return 0;
  }
  Options options;
  if (!parse(argc, argv, options)) return usage();
  bool written = true;
  if (!options.samples.empty()) {
    written = write_samples(options.samples);
  } else if (options.pictures.empty() || options.labels.empty()) {
    return usage();
  } else {
    written = write_set(options);
  }
  if (!written) std::cerr << "draw_signs: cannot write the output\n";
  return written ? 0 : 1;
}
