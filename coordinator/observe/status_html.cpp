#include "coordinator/observe/status_html.h"

#include <algorithm>
#include <cmath>

#include "proto/enum_names.h"
#include "quant/base/plain_text.h"
#include "quant/base/units.h"

namespace rotor::coordinator {
namespace {

constexpr char kHead[] = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<meta name="viewport" content="width=device-width"><title>Rotor</title><style>
body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:78em;padding:0 1em;color:#222;background:#fff}
h1{font-size:1.4em}h2{font-size:1.1em;margin-top:2em}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3em .8em .3em 0;border-bottom:1px solid #ddd;vertical-align:top}
th{color:#666;font-weight:600}td.n{text-align:right;font-variant-numeric:tabular-nums}
progress{width:9em}.strip{display:flex;gap:1px;max-width:40em}
.strip i{flex:1;height:1em;min-width:2px;background:#e4e4e4}
.state{font-weight:600}.FAILED,.PAUSED{color:#b00020}.RUNNING{color:#0a5}.why{color:#b00020}
@media(prefers-color-scheme:dark){body{background:#16181c;color:#ddd}th,td{border-color:#333}
.strip i{background:#333}.FAILED,.PAUSED,.why{color:#ff6b7d}}
</style></head><body><h1>Rotor</h1>
)";

std::string cell(const std::string& text, const char* css = "") {
  return std::string("<td") + css + ">" + html_escaped(text) + "</td>";
}

std::string number_cell(const std::string& text) {
  return cell(text, " class=\"n\"");
}

std::string header(const std::vector<std::string>& names) {
  std::string row = "<table><thead><tr>";
  for (const std::string& name : names) {
    row += "<th>" + name + "</th>";
  }
  return row + "</tr></thead><tbody>\n";
}

/// From green (1e-4 and better) over yellow to red (1e-1 and worse), by the error's order.
std::string error_colour(double error) {
  const double badness = std::clamp((std::log10(std::max(error, 1e-9)) + 4) / 3, 0.0, 1.0);
  return "hsl(" + std::to_string(std::lround(130 * (1 - badness))) + ",70%,45%)";
}

std::string strip(const StatusView::ShownJob& shown) {
  std::string text = "<div class=\"strip\">";
  for (int32_t layer = 0; layer < shown.job.layers(); ++layer) {
    const auto found = shown.layer_errors.find(layer);
    if (found == shown.layer_errors.end()) {
      text += "<i title=\"layer " + std::to_string(layer) + "\"></i>";
      continue;
    }
    text += "<i title=\"layer " + std::to_string(layer) + ", error " +
            format_number("%.2e", found->second) +
            "\" style=\"background:" + error_colour(found->second) + "\"></i>";
  }
  return text + "</div>";
}

std::string job_row(const StatusView::ShownJob& shown, int64_t now) {
  const v1::Job& job = shown.job;
  const std::string state = state_name(job.state());
  const std::string done =
      std::to_string(job.committed_layers()) + " of " + std::to_string(job.layers());
  std::string row = "<tr>" + cell(job.name()) + "<td><span class=\"state " + state + "\">" + state +
                    "</span></td><td><progress max=\"" + std::to_string(job.layers()) +
                    "\" value=\"" + std::to_string(job.committed_layers()) + "\"></progress> " +
                    done + "</td>";
  row += number_cell(job.has_seconds_left() ? format_duration(job.seconds_left()) : "");
  row += number_cell(format_duration(static_cast<double>(now - job.create_time().seconds())));
  row += cell(job.owner()) + cell(cli_name(job.spec().format())) + cell(job.output_path());
  row += "</tr>\n<tr><td colspan=\"8\">" + strip(shown);
  if (job.has_cause() && !job.cause().message().empty()) {
    row += "<div class=\"why\">" + html_escaped(job.cause().reason()) + ": " +
           html_escaped(job.cause().message()) + "</div>";
  }
  return row + "</td></tr>\n";
}

std::string worker_row(const v1::WorkerGroup& group) {
  std::string row = "<tr>" + number_cell(std::to_string(group.id())) + cell(group.host());
  row += number_cell(std::to_string(group.ranks())) + cell(group.device());
  row += number_cell(format_bytes(group.device_memory_bytes()));
  row += number_cell(format_duration(group.heard_seconds()) + " ago") + cell(group.job());
  row += cell(group.job().empty() ? ""
                                  : std::to_string(group.first_layer()) + " to " +
                                        std::to_string(group.end_layer() - 1));
  row += cell(group.job().empty() ? "idle" : group.doing());
  std::string late;
  for (const v1::RankState& rank : group.rank_states()) {
    if (rank.straggler()) {
      late += (late.empty() ? "" : ", ") + std::string("rank ") + std::to_string(rank.rank()) +
              " on " + rank.host() + " is a straggler";
    }
  }
  return row + cell(late, " class=\"why\"") + "</tr>\n";
}

}  // namespace

std::string html_escaped(const std::string& text) {
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

std::string status_html(const StatusView& view) {
  const auto waiting = std::count_if(view.jobs.begin(), view.jobs.end(), [](const auto& shown) {
    return shown.job.state() == v1::JOB_STATE_PENDING;
  });
  std::string page = kHead;
  page += "<h2>Jobs (" + std::to_string(waiting) + " in the queue)</h2>\n";
  page += header({"job", "state", "layers", "left", "age", "owner", "format", "output"});
  for (const StatusView::ShownJob& shown : view.jobs) {
    page += job_row(shown, view.now_seconds);
  }
  page += "</tbody></table>\n<h2>Workers</h2>\n";
  page +=
      header({"group", "host", "ranks", "device", "memory", "heard", "job", "layers", "does", ""});
  for (const v1::WorkerGroup& group : view.workers.groups()) {
    page += worker_row(group);
  }
  return page + "</tbody></table></body></html>\n";
}

}  // namespace rotor::coordinator
