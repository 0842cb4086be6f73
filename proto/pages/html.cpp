#include "proto/pages/html.h"

#include <algorithm>
#include <cmath>

#include "quant/base/plain_text.h"

namespace rotor {
namespace {

// Colours are printed, too, since they carry the errors.
constexpr char kStyle[] =
    R"(body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:78em;padding:0 1em;color:#222;background:#fff;
-webkit-print-color-adjust:exact;print-color-adjust:exact}
h1{font-size:1.4em;overflow-wrap:anywhere}h2{font-size:1.1em;margin-top:2em}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3em .8em .3em 0;border-bottom:1px solid #ddd;vertical-align:top;overflow-wrap:anywhere}
th{color:#666;font-weight:600}td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
progress{width:9em}.strip{display:flex;gap:1px;max-width:40em}
.strip i{flex:1;height:1em;min-width:2px;background:#e4e4e4}
.state{font-weight:600}.FAILED,.PAUSED{color:#b00020}.RUNNING{color:#0a5}.why{color:#b00020}
.bar{display:flex;height:1.4em;margin:.5em 0}.bar i{display:block}.key{display:inline-block;width:.8em;height:.8em;margin-right:.4em}
.map td{padding:.1em .4em;text-align:center;border:1px solid #fff;font-variant-numeric:tabular-nums;color:#000}
.map td.n,.map th{color:inherit}
@media(prefers-color-scheme:dark){body{background:#16181c;color:#ddd}th,td{border-color:#333}.map td{border-color:#16181c}
.strip i{background:#333}.FAILED,.PAUSED,.why{color:#ff6b7d}}
@media print{body{margin:0;max-width:none;font-size:11px}h2{break-after:avoid}tr{break-inside:avoid}})";

}  // namespace

std::string html_escaped(std::string_view text) {
  std::string out;
  for (const char c : without_controls(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string html_cell(std::string_view text) {
  return "<td>" + html_escaped(text) + "</td>";
}

std::string html_number_cell(std::string_view text) {
  return "<td class=\"n\">" + html_escaped(text) + "</td>";
}

std::string html_row(std::initializer_list<std::string> cells) {
  std::string row = "<tr>";
  for (const std::string& cell : cells) {
    row += cell;
  }
  return row + "</tr>\n";
}

std::string html_list(const std::vector<std::string>& texts) {
  std::string items;
  for (const std::string& text : texts) {
    items += "<li>" + html_escaped(text) + "</li>\n";
  }
  return items.empty() ? items : "<ul>" + items + "</ul>\n";
}

std::string html_section(std::string_view heading, std::string_view body) {
  return body.empty() ? "" : "<h2>" + html_escaped(heading) + "</h2>\n" + std::string(body);
}

std::string html_table(const std::vector<std::string>& columns, std::string_view rows) {
  if (rows.empty()) {
    return "";
  }
  std::string head = "<table><thead><tr>";
  for (const std::string& column : columns) {
    head += "<th>" + html_escaped(column) + "</th>";
  }
  return head + "</tr></thead><tbody>\n" + std::string(rows) + "</tbody></table>\n";
}

std::string html_page(std::string_view title, std::string_view head, std::string_view body) {
  const std::string name = html_escaped(title);
  return R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">)" +
         std::string(head) + "<title>" + name + "</title><style>\n" + kStyle +
         "\n</style></head><body><h1>" + name + "</h1>\n" + std::string(body) + "</body></html>\n";
}

std::string error_colour(double error) {
  const double badness = std::clamp((std::log10(std::max(error, 1e-9)) + 4) / 3, 0.0, 1.0);
  return "hsl(" + std::to_string(std::lround(130 * (1 - badness))) + ",70%,45%)";
}

}  // namespace rotor
