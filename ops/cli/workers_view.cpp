#include "ops/cli/workers_view.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "ops/cli/report_table.h"
#include "proto/json.h"
#include "quant/base/units.h"

namespace rotor::cli {
namespace {

std::string ago(double seconds) {
  return format_duration(seconds) + " ago";
}

std::string layers_text(const v1::WorkerGroup& group) {
  return group.job().empty()
             ? ""
             : std::to_string(group.first_layer()) + "-" + std::to_string(group.end_layer() - 1);
}

std::string state_text(const v1::WorkerGroup& group) {
  const std::string doing = group.job().empty() ? "idle" : group.doing();
  return group.draining() ? doing + ", draining" : doing;
}

Json group_json(const v1::WorkerGroup& group) {
  Json json = {{"group", group.id()},
               {"host", group.host()},
               {"ranks", group.ranks()},
               {"device", group.device()},
               {"device_memory_bytes", group.device_memory_bytes()},
               {"version", group.version()},
               {"attached_seconds", group.attached_seconds()},
               {"heard_seconds", group.heard_seconds()},
               {"draining", group.draining()}};
  if (!group.job().empty()) {
    json["lease"] = {{"job", group.job()},
                     {"fence", group.fence()},
                     {"first_layer", group.first_layer()},
                     {"end_layer", group.end_layer()},
                     {"seconds", group.lease_seconds()},
                     {"doing", group.doing()}};
  }
  json["rank_states"] = Json::array();
  for (const v1::RankState& rank : group.rank_states()) {
    json["rank_states"].push_back(message_json(rank));
  }
  return json;
}

std::string share_text(double share) {
  return std::to_string(std::lround(100 * share)) + "%";
}

std::string cores_text(double cores) {
  const auto tenths = static_cast<int>(std::lround(10 * cores));
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10);
}

}  // namespace

std::string workers_text(const v1::ListWorkersResponse& workers) {
  std::vector<std::vector<std::string>> groups = {
      {"group", "host", "ranks", "device", "memory", "heard", "job", "layers", "leased", "doing"}};
  std::vector<std::vector<std::string>> ranks = {
      {"group", "rank", "host", "process", "memory", "cores", "waits", "silent", ""}};
  for (const v1::WorkerGroup& group : workers.groups()) {
    groups.push_back({std::to_string(group.id()), group.host(), std::to_string(group.ranks()),
                      group.device(), format_bytes(group.device_memory_bytes()),
                      ago(group.heard_seconds()), group.job(), layers_text(group),
                      group.job().empty() ? "" : ago(group.lease_seconds()), state_text(group)});
    for (const v1::RankState& rank : group.rank_states()) {
      const bool heard = rank.has_memory_bytes();
      ranks.push_back(
          {std::to_string(group.id()), std::to_string(rank.rank()), rank.host(),
           std::to_string(rank.process()), heard ? format_bytes(rank.memory_bytes()) : "-",
           heard ? cores_text(rank.cpu_cores()) : "-", heard ? share_text(rank.wait_share()) : "-",
           format_duration(rank.silent_seconds()), rank.straggler() ? "straggler" : ""});
    }
  }
  std::string text =
      format_table(groups, {true, false, true, false, true, true, false, true, true, false});
  if (ranks.size() > 1) {
    text += "\n" + format_table(ranks, {true, true, false, true, true, true, true, true, false});
  }
  return text;
}

Json workers_json(const v1::ListWorkersResponse& workers) {
  Json list = Json::array();
  for (const v1::WorkerGroup& group : workers.groups()) {
    list.push_back(group_json(group));
  }
  return {{"workers", list}};
}

}  // namespace rotor::cli
