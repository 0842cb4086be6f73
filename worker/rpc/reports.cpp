#include "worker/rpc/reports.h"

namespace rotor::worker {

v1::ModuleReport to_report(const ModuleResult& result) {
  v1::ModuleReport report;
  report.set_name(result.name);
  report.set_relative_error(result.relative_error);
  report.set_rtn_relative_error(result.rtn_relative_error);
  report.set_damping(result.damping);
  report.set_rotation(result.rotation);
  report.set_method(std::string(to_string(result.method)));
  report.set_tokens(result.tokens);
  for (const FallbackNote& note : result.fallbacks) {
    v1::Fallback* fallback = report.add_fallbacks();
    fallback->set_kind(note.kind);
    fallback->set_detail(note.detail);
  }
  return report;
}

v1::LayerReport to_report(const LayerResult& result) {
  v1::LayerReport report;
  report.set_layer(result.layer);
  report.set_seconds(result.seconds);
  report.set_ranks(result.ranks);
  for (const ModuleResult& module : result.modules) {
    *report.add_modules() = to_report(module);
  }
  for (const auto& [name, time] : result.phases) {
    v1::PhaseTime* phase = report.add_phases();
    phase->set_phase(name);
    phase->set_seconds(time.seconds);
    phase->set_flops(time.flops);
  }
  return report;
}

}  // namespace rotor::worker
