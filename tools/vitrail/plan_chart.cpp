// The chart of `vitrail plan`, as SVG written by hand: a column per patch size with its bar of time, and below it the
// picture cut into its patches.
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "console.hpp"
#include "plan.hpp"
#include "tools/codecs/atomic_file.hpp"

namespace vitrail::cli {
namespace {

constexpr const char* kLinear = "#2a6f97";
constexpr const char* kAttention = "#e07a3f";
constexpr const char* kOther = "#a9b4bd";
constexpr const char* kInk = "#22303c";
constexpr const char* kFaint = "#7a8894";
constexpr double kTop = 118, kBarHeight = 250, kThumbnail = 112, kColumn = 190, kLeft = 76;

/// Pieces of SVG, appended one after the other.
class Drawing {
 public:
  void rect(double x, double y, double width, double height, const std::string& fill, double round = 0,
            const std::string& more = "") {
    svg_ += "<rect x=\"" + decimal(x, 1) + "\" y=\"" + decimal(y, 1) + "\" width=\"" + decimal(width, 1) +
            "\" height=\"" + decimal(std::max(height, 0.0), 1) + "\" rx=\"" + decimal(round, 1) + "\" fill=\"" + fill +
            "\"" + more + "/>\n";
  }
  void line(double x1, double y1, double x2, double y2, const std::string& colour, double width,
            const std::string& more = "") {
    svg_ += "<line x1=\"" + decimal(x1, 1) + "\" y1=\"" + decimal(y1, 1) + "\" x2=\"" + decimal(x2, 1) + "\" y2=\"" +
            decimal(y2, 1) + "\" stroke=\"" + colour + "\" stroke-width=\"" + decimal(width, 2) + "\"" + more + "/>\n";
  }
  void text(double x, double y, const std::string& words, double size, const std::string& colour,
            const char* anchor = "middle", bool bold = false) {
    svg_ += "<text x=\"" + decimal(x, 1) + "\" y=\"" + decimal(y, 1) + "\" font-size=\"" + decimal(size, 1) +
            "\" fill=\"" + colour + "\" text-anchor=\"" + anchor + "\"" + (bold ? " font-weight=\"600\"" : "") + ">" +
            escaped(words) + "</text>\n";
  }
  void raw(const std::string& svg) { svg_ += svg; }
  const std::string& svg() const { return svg_; }

 private:
  static std::string escaped(const std::string& words) {
    std::string out;
    for (const char c : words)
      out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&quot;" : std::string(1, c);
    return out;
  }
  std::string svg_;
};

/// 1, 2 or 5 times a power of ten, so that about four of them reach `top`.
double step_for(double top) {
  const double power = std::pow(10, std::floor(std::log10(top / 4)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (power * factor * 4 >= top) return power * factor;
  return power * 10;
}

std::string milliseconds(double ms) {
  return ms >= 10000 ? decimal(ms / 1000, 1) + " s" : decimal(ms, ms < 10 ? 1 : 0) + " ms";
}

/// A landscape in a rounded frame, under the lead of the patches.
void thumbnail(Drawing& d, double x, double y, const PatchCost& c) {
  const double longer = std::max(c.rows, c.columns);
  const double width = kThumbnail * c.columns / longer, height = kThumbnail * c.rows / longer;
  x += (kThumbnail - width) / 2;
  d.raw("<svg x=\"" + decimal(x, 1) + "\" y=\"" + decimal(y, 1) + "\" width=\"" + decimal(width, 1) + "\" height=\"" +
        decimal(height, 1) +
        "\" viewBox=\"0 0 100 100\" preserveAspectRatio=\"none\">"
        "<rect width=\"100\" height=\"100\" fill=\"#bfe0f2\"/><circle cx=\"72\" cy=\"26\" r=\"12\" fill=\"#f6c453\"/>"
        "<path d=\"M0 70 L30 34 L52 62 L68 46 L100 74 L100 100 L0 100 Z\" fill=\"#5b8e7d\"/>"
        "<path d=\"M0 84 Q30 70 58 82 T100 80 L100 100 L0 100 Z\" fill=\"#3d6b5c\"/></svg>\n");
  // Finer lines where there are many; beyond some, lines would cover the picture, so they are only hinted at.
  const double pitch = width / c.columns, thick = std::clamp(pitch / 9, 0.15, 1.4);
  const std::string more = " stroke-opacity=\"0.75\"";
  for (int i = 0; i <= c.columns; ++i) d.line(x + i * pitch, y, x + i * pitch, y + height, kInk, thick, more);
  for (int i = 0; i <= c.rows; ++i)
    d.line(x, y + i * height / c.rows, x + width, y + i * height / c.rows, kInk, thick, more);
}

void legend(Drawing& d, bool measured) {
  struct Entry {
    const char *colour, *words;
    double width;
  };
  const Entry entries[] = {
      {kLinear, "linear layers, ∝ N", 132}, {kAttention, "attention, ∝ N²", 116}, {kOther, "the rest", 70}};
  double x = kLeft;
  for (const Entry& e : entries) {
    d.rect(x, 75, 12, 12, e.colour, 2);
    d.text(x + 18, 85.5, e.words, 12.5, kInk, "start");
    x += e.width + 18;
  }
  if (!measured) return;
  d.line(x, 81, x + 16, 81, kInk, 3);
  d.text(x + 22, 85.5, "measured", 12.5, kInk, "start");
}

}  // namespace

Status save_plan_chart(const std::vector<PatchCost>& costs, const std::string& title, const std::string& subtitle,
                       const std::string& path) {
  double top = 0;
  bool measured = false;
  for (const PatchCost& c : costs) {
    top = std::max({top, c.predicted_ms(), c.measured_ms.value_or(0)});
    measured = measured || c.measured_ms;
  }
  const double step = step_for(top), scale = kBarHeight / (std::ceil(top / step) * step);
  const double width = std::max(kLeft + kColumn * static_cast<double>(costs.size()) + 24, 560.0);
  const double base = kTop + kBarHeight, height = base + 44 + kThumbnail + 62;

  Drawing d;
  d.raw("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + decimal(width, 0) + " " + decimal(height, 0) +
        "\" width=\"" + decimal(width, 0) + "\" height=\"" + decimal(height, 0) +
        "\" font-family=\"system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif\">\n");
  d.rect(0, 0, width, height, "#fbfaf7", 10);
  d.text(kLeft, 36, title, 19, kInk, "start", true);
  d.text(kLeft, 57, "time of one picture on " + subtitle, 13, kFaint, "start");
  legend(d, measured);
  for (double value = 0; value <= top + step * 0.999; value += step) {
    const double y = base - value * scale;
    d.line(kLeft, y, width - 24, y, value == 0 ? kInk : "#e3e0d8", value == 0 ? 1.2 : 1);
    d.text(kLeft - 10, y + 4, value == 0 ? "0" : milliseconds(value), 12, kFaint, "end");
  }
  double x = kLeft;
  for (const PatchCost& c : costs) {
    const double middle = x + kColumn / 2, bar = 84;
    double y = base;
    const struct {
      double ms;
      const char* colour;
    } parts[] = {{c.linear_ms, kLinear}, {c.attention_ms, kAttention}, {c.other_ms, kOther}};
    for (const auto& part : parts) {
      y -= part.ms * scale;
      d.rect(middle - bar / 2, y, bar, part.ms * scale, part.colour);
    }
    double label = y;
    if (c.measured_ms) {
      const double at = base - *c.measured_ms * scale;
      d.line(middle - bar / 2 - 8, at, middle + bar / 2 + 8, at, kInk, 3);
      label = std::min(label, at);
    }
    d.text(middle, label - 9, milliseconds(c.measured_ms.value_or(c.predicted_ms())), 14, kInk, "middle", true);
    d.text(middle, base + 24, "P = " + std::to_string(c.patch), 15, kInk, "middle", true);
    thumbnail(d, middle - kThumbnail / 2, base + 36, c);
    d.text(middle, base + 36 + kThumbnail + 20,
           grouped(static_cast<std::uint64_t>(c.patches())) + (c.patches() == 1 ? " patch" : " patches"), 13, kInk);
    d.text(middle, base + 36 + kThumbnail + 38,
           decimal(static_cast<double>(c.linear_macs + c.attention_macs) * 1e-9, 1) + " GMAC, " +
               decimal(c.attention_share() * 100, 0) + " % attention",
           12, kFaint);
    x += kColumn;
  }
  d.raw("</svg>\n");

  auto file = codec::AtomicFile::create(path);
  if (!file) return file.error();
  const std::string& svg = d.svg();
  if (std::fwrite(svg.data(), 1, svg.size(), file->file()) != svg.size()) return file->failed(std::strerror(errno));
  return file->commit();
}

}  // namespace vitrail::cli
