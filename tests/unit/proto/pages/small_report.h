// A report of two layers with everything that a page can show.
#pragma once

#include "rotor/v1/job.pb.h"

namespace rotor::testing {

inline v1::Report small_report() {
  v1::Report report;
  report.mutable_job()->set_name("jobs/1");
  report.mutable_job()->mutable_spec()->set_format(v1::FORMAT_NVFP4);
  report.mutable_job()->mutable_spec()->set_damping(0.01);
  report.mutable_job()->mutable_estimate()->add_warnings("mind <this>");
  for (int layer = 0; layer < 2; ++layer) {
    v1::LayerReport& one = *report.add_layers();
    one.set_layer(layer);
    for (const char* kind :
         {"self_attn.q_proj", "mlp.experts.0.up_proj", "mlp.experts.1.up_proj"}) {
      v1::ModuleReport& module = *one.add_modules();
      module.set_name("model.layers." + std::to_string(layer) + "." + kind);
      module.set_method("mr-gptq");
      module.set_relative_error(1e-3 * (layer + 1));
      module.set_rtn_relative_error(4e-3);
      module.set_tokens(100 + one.modules_size());
    }
  }
  v1::Fallback& fallback = *report.mutable_layers(1)->mutable_modules(2)->add_fallbacks();
  fallback.set_kind("ROUND_TO_NEAREST");
  fallback.set_detail("3 tokens");
  v1::PhaseTime& solve = *report.add_phases();
  solve.set_phase("solve");
  solve.set_seconds(3);
  solve.set_flops(6e12);
  report.add_phases()->set_phase("load");
  report.mutable_phases(1)->set_seconds(1);
  report.add_serving_modes("vllm: W4A16");
  report.add_workers("node-1");
  report.set_perplexity(15.5);
  report.set_perplexity_tokens(1023);
  report.set_output_bytes(2'500'000);
  report.set_seconds(75);
  return report;
}

}  // namespace rotor::testing
