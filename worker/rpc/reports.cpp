#include "worker/rpc/reports.h"

#include <google/protobuf/descriptor.h>

#include <cstdlib>

#include "worker/pipeline/result_fields.h"

namespace rotor::worker {
namespace {

using google::protobuf::FieldDescriptor;

/// Puts values into the fields of their names. A name that the API does not have would be lost in
/// silence: the process ends, and the unit test of reports finds it.
class FieldSetter {
 public:
  explicit FieldSetter(v1::ModuleReport* report) : report_(report) {}

  void operator()(const char* name, const std::string& value) const {
    reflection().SetString(report_, field(name), value);
  }
  void operator()(const char* name, double value) const {
    reflection().SetDouble(report_, field(name), value);
  }
  void operator()(const char* name, int value) const {
    reflection().SetInt32(report_, field(name), value);
  }
  void operator()(const char* name, int64_t value) const {
    reflection().SetInt64(report_, field(name), value);
  }
  void operator()(const char* name, Method value) const {
    (*this)(name, std::string(to_string(value)));
  }
  void operator()(const char* /*name*/, const std::vector<FallbackNote>& notes) const {
    for (const FallbackNote& note : notes) {
      v1::Fallback* fallback = report_->add_fallbacks();
      fallback->set_kind(note.kind);
      fallback->set_detail(note.detail);
    }
  }

 private:
  const google::protobuf::Reflection& reflection() const { return *report_->GetReflection(); }
  const FieldDescriptor* field(const char* name) const {
    const FieldDescriptor* found = v1::ModuleReport::descriptor()->FindFieldByName(name);
    return found != nullptr ? found : (std::abort(), nullptr);
  }

  v1::ModuleReport* report_;
};

}  // namespace

v1::ModuleReport to_report(const ModuleResult& result) {
  v1::ModuleReport report;
  each_field(result, FieldSetter(&report));
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

std::vector<v1::RankState> to_states(const std::vector<RankStatus>& ranks) {
  std::vector<v1::RankState> states;
  for (const RankStatus& rank : ranks) {
    v1::RankState state;
    state.set_rank(static_cast<int>(states.size()));
    state.set_host(rank.identity.host);
    state.set_process(rank.identity.process);
    if (rank.heard) {
      state.set_memory_bytes(rank.beat.memory_bytes);
      state.set_cpu_cores(rank.beat.cpu_cores);
      state.set_wait_share(rank.wait_share);
    }
    state.set_silent_seconds(rank.silent.count());
    state.set_straggler(rank.straggler);
    states.push_back(std::move(state));
  }
  return states;
}

}  // namespace rotor::worker
