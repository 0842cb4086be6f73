#include "coordinator/jobs/report.h"

#include <algorithm>
#include <map>

#include "proto/convert.h"
#include "quant/checkpoint/serving_modes.h"

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
  if (record.perplexity) {
    report.set_perplexity(*record.perplexity);
    report.set_perplexity_tokens(record.perplexity_tokens);
  }
  for (std::string& mode : serving_modes(record.spec, layers)) {
    report.add_serving_modes(std::move(mode));
  }
  report.set_output_bytes(record.output_bytes);
  return report;
}

std::vector<std::string> serving_modes(const v1::JobSpec& spec,
                                       const std::vector<LayerRecord>& layers) {
  const bool rotated = std::any_of(layers.begin(), layers.end(), [](const LayerRecord& layer) {
    return std::any_of(layer.report.modules().begin(), layer.report.modules().end(),
                       [](const v1::ModuleReport& module) { return module.rotation() > 0; });
  });
  return rotor::serving_modes(to_plain(spec.layout()), to_plain(spec.format()),
                              to_plain(spec.activations()), rotated);
}

}  // namespace rotor::coordinator
