#include "coordinator/jobs/report.h"

#include <algorithm>
#include <set>

namespace rotor::coordinator {
namespace {

constexpr double kMicro = 1e-6;

/// Time during which at least one lease ran.
int64_t running_us(std::vector<LeaseRecord> leases, int64_t now_us) {
  std::sort(leases.begin(), leases.end(),
            [](const LeaseRecord& a, const LeaseRecord& b) { return a.begin_us < b.begin_us; });
  int64_t sum = 0;
  int64_t covered = 0;  // everything before is counted
  for (const LeaseRecord& lease : leases) {
    const int64_t begin = std::max(lease.begin_us, covered);
    const int64_t end = lease.end_us.value_or(now_us);
    sum += std::max<int64_t>(end - begin, 0);
    covered = std::max(covered, end);
  }
  return sum;
}

void add_phase(v1::Report* report, const std::string& name, double seconds, double flops) {
  for (v1::PhaseTime& phase : *report->mutable_phases()) {
    if (phase.phase() == name) {
      phase.set_seconds(phase.seconds() + seconds);
      phase.set_flops(phase.flops() + flops);
      return;
    }
  }
  v1::PhaseTime* phase = report->add_phases();
  phase->set_phase(name);
  phase->set_seconds(seconds);
  phase->set_flops(flops);
}

}  // namespace

v1::Report build_report(const JobRecord& record, const std::vector<LayerRecord>& layers,
                        const std::vector<LeaseRecord>& leases, int64_t now_us) {
  v1::Report report;
  *report.mutable_job() = record.to_proto();
  for (const LayerRecord& layer : layers) {
    *report.add_layers() = layer.report;
    for (const v1::PhaseTime& phase : layer.report.phases()) {
      add_phase(&report, phase.phase(), phase.seconds(), phase.flops());
    }
  }
  if (record.assemble_us > 0) {
    add_phase(&report, "assemble", static_cast<double>(record.assemble_us) * kMicro, 0.0);
  }
  report.set_resumed_layers(record.resumed_layers);
  report.set_computed_layers(record.computed_layers);
  report.set_seconds(static_cast<double>(running_us(leases, now_us)) * kMicro);
  report.set_fallbacks(record.fallbacks);
  std::set<std::string> workers;
  for (const LeaseRecord& lease : leases) {
    if (workers.insert(lease.worker).second) {
      report.add_workers(lease.worker);
    }
  }
  if (record.perplexity) {
    report.set_perplexity(*record.perplexity);
    report.set_perplexity_tokens(record.perplexity_tokens);
  }
  *report.mutable_serving_modes() = record.estimate.serving_modes();
  report.set_output_bytes(record.output_bytes);
  return report;
}

}  // namespace rotor::coordinator
