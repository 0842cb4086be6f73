#include "coordinator/observe/core_look.h"

#include <utility>

#include "proto/enum_names.h"

namespace rotor::coordinator {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

class Gauges {
 public:
  Gauges(std::vector<prometheus::MetricFamily>* families, const char* name, const char* help)
      : families_(families) {
    family_.name = name;
    family_.help = help;
    family_.type = prometheus::MetricType::Gauge;
  }
  ~Gauges() { families_->push_back(std::move(family_)); }
  Gauges(const Gauges&) = delete;
  Gauges& operator=(const Gauges&) = delete;

  void add(const Labels& labels, double value) {
    prometheus::ClientMetric metric;
    for (const auto& [name, text] : labels) {
      prometheus::ClientMetric::Label label;
      label.name = name;
      label.value = text;
      metric.label.push_back(std::move(label));
    }
    metric.gauge.value = value;
    family_.metric.push_back(std::move(metric));
  }

 private:
  std::vector<prometheus::MetricFamily>* families_;
  prometheus::MetricFamily family_;
};

void add_jobs(Core& core, std::vector<prometheus::MetricFamily>* families) {
  const Result<std::map<v1::JobState, int64_t>> counts = core.count_jobs();
  if (!counts.ok()) {
    return;
  }
  Gauges jobs(families, "rotor_jobs", "Jobs in the store, by state");
  for (int i = v1::JOB_STATE_PENDING; i <= v1::JobState_MAX; ++i) {
    const auto state = static_cast<v1::JobState>(i);
    const auto found = counts->find(state);
    jobs.add({{"state", state_name(state)}},
             found == counts->end() ? 0 : static_cast<double>(found->second));
  }
}

void add_workers(Core& core, std::vector<prometheus::MetricFamily>* families) {
  const v1::ListWorkersResponse workers = core.list_workers();
  Gauges groups(families, "rotor_worker_groups", "Worker groups that are attached");
  Gauges heard(families, "rotor_worker_silence_seconds", "Since a group's last sign of life");
  Gauges leases(families, "rotor_lease_age_seconds", "Since a group was given its lease");
  Gauges device(families, "rotor_device_memory_bytes", "Memory of the device of one rank");
  Gauges memory(families, "rotor_rank_memory_bytes", "Resident host memory of a rank");
  Gauges cores(families, "rotor_rank_cpu_cores", "CPU cores that a rank keeps busy");
  Gauges waits(families, "rotor_rank_wait_share", "Share of its time that a rank waits for others");
  groups.add({}, workers.groups_size());
  for (const v1::WorkerGroup& group : workers.groups()) {
    const std::string id = std::to_string(group.id());
    const Labels labels = {{"group", id}, {"host", group.host()}, {"device", group.device()}};
    heard.add(labels, group.heard_seconds());
    device.add(labels, static_cast<double>(group.device_memory_bytes()));
    if (!group.job().empty()) {
      leases.add({{"group", id}, {"host", group.host()}, {"job", group.job()}},
                 group.lease_seconds());
    }
    for (const v1::RankState& rank : group.rank_states()) {
      if (!rank.has_memory_bytes()) {
        continue;  // not heard of yet
      }
      const Labels of_rank = {
          {"group", id}, {"rank", std::to_string(rank.rank())}, {"host", rank.host()}};
      memory.add(of_rank, static_cast<double>(rank.memory_bytes()));
      cores.add(of_rank, rank.cpu_cores());
      waits.add(of_rank, rank.wait_share());
    }
  }
}

}  // namespace

CoreLook::CoreLook(FileSystem& fs, Core& core, const CoordinatorOptions& options)
    : fs_(fs), core_(core), state_dir_(options.state_dir), output_root_(options.output_root) {}

std::vector<prometheus::MetricFamily> CoreLook::Collect() const {
  std::vector<prometheus::MetricFamily> families;
  add_jobs(core_, &families);
  add_workers(core_, &families);
  Gauges disk(&families, "rotor_disk_free_bytes", "Free space where state and checkpoints lie");
  for (const auto& [name, path] : {std::pair("state", state_dir_), {"output", output_root_}}) {
    if (const Result<int64_t> free = fs_.free_space(path); free.ok()) {
      disk.add({{"disk", name}}, static_cast<double>(*free));
    }
  }
  return families;
}

}  // namespace rotor::coordinator
