#include <algorithm>
#include <nlohmann/json.hpp>

#include "model/settings.h"
#include "worker/bench/layer_bench.h"
#include "worker/bench/rounded.h"
#include "worker/pipeline/result_text.h"

namespace rotor::worker::bench {
namespace {

using Json = nlohmann::ordered_json;

Json shape_json(const ModelShape& shape) {
  Json json = {{"name", shape.name},         {"hidden", shape.hidden},
               {"heads", shape.heads},       {"kv_heads", shape.kv_heads},
               {"head_dim", shape.head_dim}, {"intermediate", shape.intermediate}};
  if (shape.experts > 0) {
    json["experts"] = shape.experts;
    json["per_token"] = shape.per_token;
  }
  return json;
}

Json member_json(const QuantOptions& quant, const Setting& setting) {
  return std::visit(
      [&](auto member) -> Json {
        if constexpr (std::is_same_v<decltype(member), std::monostate>) {
          return {};
        } else if constexpr (std::is_enum_v<std::remove_reference_t<decltype(quant.*member)>>) {
          return member_text(quant, setting);
        } else {
          return quant.*member;
        }
      },
      setting.member);
}

Json settings_json(const LayerBenchOptions& options) {
  const QuantOptions& quant = options.quant;
  Json json = {{"sequences", options.sequences},
               {"seq_len", options.seq_len},
               {"format", to_string(quant.scheme.format)},
               {"group_size", quant.scheme.group_size},
               {"micro_batch", quant.micro_batch_sequences},
               {"seed", options.seed}};
  for (const Setting& setting : settings()) {
    if (setting.has_member()) {
      json[std::string(setting.key)] = member_json(quant, setting);
    }
  }
  return json;
}

/// Rate and share of the ceiling for what the phase is about: operations, else bytes.
Json phase_json(const PhaseTime& time, const Ceilings& ceilings) {
  Json json = {{"seconds", rounded(time.seconds)}};
  if (time.seconds > 0.0 && time.flops > 0.0) {
    const double rate = time.flops / time.seconds;
    json["tflops"] = rounded(rate * 1e-12);
    json["share_of_gemm"] = rounded(rate / ceilings.flops_per_second);
  } else if (time.seconds > 0.0 && time.bytes > 0.0) {
    const double rate = time.bytes / time.seconds;
    json["gb_per_second"] = rounded(rate * 1e-9);
    json["share_of_copy"] = rounded(rate / ceilings.bytes_per_second);
  }
  return json;
}

}  // namespace

std::string layer_bench_json(const LayerBenchOptions& options, const LayerBenchResult& result,
                             const DeviceInfo& device, int ranks) {
  const auto tokens = static_cast<double>(options.sequences * options.seq_len);
  const double best = *std::min_element(result.runs.begin(), result.runs.end());
  Json json = {{"benchmark", "layer"},
               {"shape", shape_json(options.shape)},
               {"settings", settings_json(options)},
               {"device", device.name},
               {"ranks", ranks},
               {"seconds", rounded(best)},
               {"tokens_per_second", rounded(tokens / best)}};
  for (const double seconds : result.runs) {
    json["runs"].push_back(rounded(seconds));
  }
  json["seconds_with_waits"] = rounded(result.waited.seconds);
  double in_phases = 0.0;
  for (const auto& [name, time] : result.waited.phases) {
    json["phases"][name] = phase_json(time, result.ceilings);
    in_phases += time.seconds;
  }
  json["phases"]["other"] = {{"seconds", rounded(result.waited.seconds - in_phases)}};
  json["ceilings"] = {{"gemm_size", result.ceilings.gemm_size},
                      {"gemm_tflops", rounded(result.ceilings.flops_per_second * 1e-12)},
                      {"copy_gb_per_second", rounded(result.ceilings.bytes_per_second * 1e-9)}};
  json["memory_plan"] = result.memory_plan;
  json["peak_bytes"] = result.peak_bytes;
  json["uploaded_bytes"] = result.uploaded_bytes;
  for (const ModuleResult& module : result.waited.modules) {
    json["modules"].push_back(result_json(module));
  }
  json["digest"] = result.digest;
  return json.dump(2);
}

}  // namespace rotor::worker::bench
