#include "proto/pages/line_chart.h"

#include <algorithm>

#include "proto/pages/html.h"
#include "quant/base/units.h"

namespace rotor {
namespace {

constexpr double kWidth = 340;
constexpr double kHeight = 180;
constexpr double kLeft = 48;  // of the plot, for the axis's numbers
constexpr double kTop = 24;
constexpr double kBottom = 40;  // for the places and the lines' names

std::string at(const char* attribute, double value) {
  return " " + std::string(attribute) + "=\"" + format_number("%.1f", value) + "\"";
}

std::string text(double x, double y, const std::string& anchor, const std::string& colour,
                 const std::string& words) {
  return "<text" + at("x", x) + at("y", y) + " text-anchor=\"" + anchor + "\" fill=\"" + colour +
         "\">" + html_escaped(words) + "</text>";
}

class Plot {
 public:
  Plot(size_t places, double largest) : places_(places), largest_(largest) {}

  double x(size_t place) const {
    const double step = places_ > 1 ? (kWidth - kLeft - 24) / static_cast<double>(places_ - 1) : 0;
    return kLeft + 8 + step * static_cast<double>(place);
  }
  double y(double value) const {
    return kTop + (kHeight - kTop - kBottom) * (1.0 - value / largest_);
  }

 private:
  size_t places_;
  double largest_;
};

std::string drawn(const ChartLine& line, const Plot& plot) {
  std::string path;
  std::string dots;
  bool pen_down = false;
  for (size_t i = 0; i < line.values.size(); ++i) {
    if (!line.values[i]) {
      pen_down = false;
      continue;
    }
    const double x = plot.x(i);
    const double y = plot.y(*line.values[i]);
    path += (pen_down ? "L" : "M") + format_number("%.1f", x) + " " + format_number("%.1f", y);
    dots += "<circle" + at("cx", x) + at("cy", y) + " r=\"3\" fill=\"" + line.colour +
            "\"><title>" + html_escaped(line.name) +
            format_number(" %.3f %%", 100.0 * *line.values[i]) + "</title></circle>";
    pen_down = true;
  }
  return "<path d=\"" + path + "\" fill=\"none\" stroke=\"" + line.colour +
         "\" stroke-width=\"2\"/>" + dots;
}

}  // namespace

std::string line_chart(const std::string& title, const std::vector<std::string>& places,
                       const std::vector<ChartLine>& lines) {
  double largest = 0.0;
  for (const ChartLine& line : lines) {
    for (const std::optional<double>& value : line.values) {
      largest = std::max(largest, value.value_or(0.0));
    }
  }
  if (!(largest > 0.0)) {
    return "";
  }
  const Plot plot(places.size(), largest);
  std::string svg = "<svg viewBox=\"0 0" + format_number(" %.0f", kWidth) +
                    format_number(" %.0f", kHeight) + "\" width=\"" +
                    format_number("%.0f", kWidth) + "\" role=\"img\" font-size=\"11\">" +
                    text(kLeft, 14, "start", "currentColor", title);
  for (const double share : {0.0, 0.5, 1.0}) {
    const double y = plot.y(share * largest);
    svg += "<path d=\"M" + format_number("%.1f", kLeft) + format_number(" %.1f", y) + "H" +
           format_number("%.1f", kWidth) + "\" stroke=\"currentColor\" opacity=\"0.25\"/>" +
           text(kLeft - 4, y + 4, "end", "currentColor",
                format_number("%.2f %%", 100.0 * share * largest));
  }
  for (size_t i = 0; i < places.size(); ++i) {
    svg += text(plot.x(i), kHeight - kBottom + 16, "middle", "currentColor", places[i]);
  }
  double x = kLeft;
  for (const ChartLine& line : lines) {
    svg += drawn(line, plot) + text(x, kHeight - 6, "start", line.colour, line.name);
    x += 70;
  }
  return svg + "</svg>\n";
}

}  // namespace rotor
