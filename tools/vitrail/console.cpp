#include "console.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tools/codecs/utf8.hpp"

namespace vitrail::cli {
namespace {

bool starts_letter(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; }

}  // namespace

std::string printable(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const std::size_t length = codec::utf8_length(text);
    const std::string_view letter = text.substr(0, std::max(length, std::size_t{1}));
    const auto between = [&](std::string_view low, std::string_view high) { return letter >= low && letter <= high; };
    // C0 and C1, which terminals obey, and what turns the direction of the text behind it.
    const bool control = letter < " " || letter == "\x7f" || between("\xc2\x80", "\xc2\x9f") ||
                         between("\xe2\x80\xaa", "\xe2\x80\xae") || between("\xe2\x81\xa6", "\xe2\x81\xa9");
    shown += length > 0 && !control ? letter : "?";
    text.remove_prefix(letter.size());
  }
  return shown;
}

void report(std::string_view message) { std::fprintf(stderr, "vitrail: %s\n", printable(message).c_str()); }

std::FILE* status_stream(std::initializer_list<std::string> written) {
  const auto may_be_stdout = [](const std::string& path) {
    std::error_code ignored;
    return !path.empty() && !std::filesystem::is_regular_file(path, ignored);
  };
  return std::any_of(written.begin(), written.end(), may_be_stdout) ? stderr : stdout;
}

void report(const Error& error) { report(error.message); }

std::string json_text(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void print_json(const nlohmann::ordered_json& object) {
  std::printf("%s\n", json_text(object).c_str());
  std::fflush(stdout);
}

double rounded(double value, int digits) {
  const double scale = std::pow(10.0, digits);
  return std::round(value * scale) / scale;
}

std::string decimal(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string grouped(std::uint64_t value) {
  std::string text = std::to_string(value);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, 1, ' ');
  return text;
}

std::string bytes_text(std::uint64_t bytes) {
  if (bytes < 1'000'000) return decimal(static_cast<double>(bytes) / 1e3, 1) + " kB";
  if (bytes < 1'000'000'000) return decimal(static_cast<double>(bytes) / 1e6, 1) + " MB";
  return decimal(static_cast<double>(bytes) / 1e9, 2) + " GB";
}

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), starts_letter));
}

std::string shortened(std::string_view text, std::size_t columns) {
  if (columns_of(text) <= columns) return std::string(text);
  std::size_t at = 0;
  for (std::size_t letters = 0; at < text.size(); ++at) {
    if (starts_letter(text[at]) && ++letters == columns) break;  // the last column is for the dots
  }
  return std::string(text.substr(0, at)) + "…";
}

std::string bar(double fraction, int columns) {
  static constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int eighths = static_cast<int>(std::lround(std::clamp(fraction, 0.0, 1.0) * columns * 8));
  std::string text;
  for (int i = 0; i < eighths / 8; ++i) text += "█";
  return text + kEighths[eighths % 8];
}

void Table::print(int indent) const {
  std::vector<std::size_t> widths(columns_.size());
  for (const auto& row : rows_) {
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], columns_of(row[c]));
  }
  for (const auto& row : rows_) {
    std::string line(static_cast<std::size_t>(indent), ' ');
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string gap(widths[c] - columns_of(row[c]), ' ');
      line += columns_[c] == Align::left ? row[c] + gap : gap + row[c];
      line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    std::printf("%s\n", printable(line).c_str());
  }
}

Progress::Progress(std::string task) : task_(std::move(task)) {
  const char* terminal = std::getenv("TERM");
  enabled_ = isatty(STDERR_FILENO) != 0 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

void Progress::update(double fraction, std::string_view note) {
  if (!enabled_) return;
  const auto now = Clock::now();
  // What is done in a blink needs no bar, and ten pictures a second are enough for the eye.
  if (now - start_ < std::chrono::milliseconds(300) || now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  visible_ = true;
  constexpr int kWidth = 28;
  const int full = static_cast<int>(std::lround(std::clamp(fraction, 0.0, 1.0) * kWidth));
  std::string line = "\r\033[K" + task_ + "  \033[36m";
  for (int i = 0; i < full; ++i) line += "━";
  line += "\033[90m";
  for (int i = full; i < kWidth; ++i) line += "─";
  line += "\033[0m  " + std::string(note);
  if (fraction > 0.02) {
    const double seconds = std::chrono::duration<double>(now - start_).count();
    line += "  " + std::to_string(std::lround(seconds / fraction - seconds)) + " s left";
  }
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
}

void Progress::clear() {
  if (!visible_) return;
  visible_ = false;
  drawn_ = {};
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
}

}  // namespace vitrail::cli
