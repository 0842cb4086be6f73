#include "coordinator/observe/status_html.h"

#include <algorithm>

#include "proto/enum_names.h"
#include "proto/pages/html.h"
#include "quant/base/units.h"

namespace rotor::coordinator {
namespace {

// The page asks again by itself.
constexpr char kHead[] = R"(<meta http-equiv="refresh" content="5">)";

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
  std::string row = "<tr>" + html_cell(job.name()) + "<td><span class=\"state " + state + "\">" +
                    state + "</span></td><td><progress max=\"" + std::to_string(job.layers()) +
                    "\" value=\"" + std::to_string(job.committed_layers()) + "\"></progress> " +
                    done + "</td>";
  row += html_number_cell(job.has_seconds_left() ? format_duration(job.seconds_left()) : "");
  row += html_number_cell(format_duration(static_cast<double>(now - job.create_time().seconds())));
  row += html_cell(job.owner()) + html_cell(cli_name(job.spec().format())) +
         html_cell(job.output_path());
  row += "</tr>\n<tr><td colspan=\"8\">" + strip(shown);
  if (job.has_cause() && !job.cause().message().empty()) {
    row += "<div class=\"why\">" + html_escaped(job.cause().reason()) + ": " +
           html_escaped(job.cause().message()) + "</div>";
  }
  return row + "</td></tr>\n";
}

std::string worker_row(const v1::WorkerGroup& group) {
  std::string row = "<tr>" + html_number_cell(std::to_string(group.id())) + html_cell(group.host());
  row += html_number_cell(std::to_string(group.ranks())) + html_cell(group.device());
  row += html_number_cell(format_bytes(group.device_memory_bytes()));
  row += html_number_cell(format_duration(group.heard_seconds()) + " ago") + html_cell(group.job());
  row += html_cell(group.job().empty() ? ""
                                       : std::to_string(group.first_layer()) + " to " +
                                             std::to_string(group.end_layer() - 1));
  row += html_cell(group.job().empty() ? "idle" : group.doing());
  std::string late;
  for (const v1::RankState& rank : group.rank_states()) {
    if (rank.straggler()) {
      late += (late.empty() ? "" : ", ") + std::string("rank ") + std::to_string(rank.rank()) +
              " on " + rank.host() + " is a straggler";
    }
  }
  return row + "<td class=\"why\">" + html_escaped(late) + "</td></tr>\n";
}

}  // namespace

std::string status_html(const StatusView& view) {
  const auto waiting = std::count_if(view.jobs.begin(), view.jobs.end(), [](const auto& shown) {
    return shown.job.state() == v1::JOB_STATE_PENDING;
  });
  std::string jobs;
  for (const StatusView::ShownJob& shown : view.jobs) {
    jobs += job_row(shown, view.now_seconds);
  }
  std::string workers;
  for (const v1::WorkerGroup& group : view.workers.groups()) {
    workers += worker_row(group);
  }
  return html_page(
      "Rotor", kHead,
      "<h2>Jobs (" + std::to_string(waiting) + " in the queue)</h2>\n" +
          html_table({"job", "state", "layers", "left", "age", "owner", "format", "output"}, jobs) +
          "<h2>Workers (" + std::to_string(view.workers.groups_size()) + ")</h2>\n" +
          html_table(
              {"group", "host", "ranks", "device", "memory", "heard", "job", "layers", "does", ""},
              workers));
}

}  // namespace rotor::coordinator
