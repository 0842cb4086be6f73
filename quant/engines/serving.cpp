#include "quant/engines/serving.h"

#include <algorithm>
#include <optional>

namespace rotor {
namespace {

std::string evidence_of(const EngineRule& rule) {
  return " (" + std::string(to_string(rule.evidence)) + ": " + std::string(rule.source) + ")";
}

/// What such a number of GPUs cannot share out, and what else might help; empty: nothing.
struct Obstacle {
  std::string what;
  std::string remedy;
};

Obstacle obstacle(const ServedCheckpoint& checkpoint, int tensor_parallel) {
  if (const int64_t heads = indivisible_heads(checkpoint, tensor_parallel); heads != 0) {
    return {std::to_string(heads) + " heads cannot be shared out", ""};
  }
  if (const int64_t width = indivisible_width(checkpoint, tensor_parallel); width != 0) {
    return {"an input of " + std::to_string(width) + " columns leaves no whole groups of " +
                std::to_string(parallel_unit(checkpoint)) + " to each GPU",
            checkpoint.scheme.format == Format::kInt4 ? ", or choose a smaller --group-size"
                                                      : ", or choose smaller groups or blocks"};
  }
  return {};
}

}  // namespace

Judgement judge(const ServedCheckpoint& checkpoint, const ServeTarget& target) {
  if (const Obstacle found = obstacle(checkpoint, target.tensor_parallel); !found.what.empty()) {
    return {Verdict::kFails,
            std::string(title(target.engine)) + " fails at tensor parallelism " +
                std::to_string(target.tensor_parallel) + ": " + found.what,
            "serve with tp=" + std::to_string(largest_parallel(checkpoint)) + found.remedy};
  }
  struct Found {
    const EngineRule* rule;
    std::string_view version;
  };
  std::optional<Found> worst;
  const std::span<const std::string_view> versions = engine_versions(target.engine);
  for (int version = 0; version < std::ssize(versions); ++version) {
    for (const Gpu gpu : kGpus) {
      if (target.gpu.value_or(gpu) != gpu) {
        continue;
      }
      const EngineRule* rule =
          find_rule(checkpoint, {target.engine, version, gpu, target.tensor_parallel});
      if (!worst || verdict_of(rule) > verdict_of(worst->rule)) {
        worst = Found{rule, versions[static_cast<size_t>(version)]};
      }
    }
  }
  const EngineRule* rule = worst->rule;
  const std::string engine(title(target.engine));
  if (rule == nullptr) {
    return {Verdict::kUnknown, engine + ": " + describe(rule),
            "choose an engine that is known to run it, or leave --serve-on out"};
  }
  const std::string version = serves(rule->verdict) ? "" : " " + std::string(worst->version);
  return {rule->verdict, engine + version + " " + describe(rule) + evidence_of(*rule),
          std::string(rule->remedy)};
}

Status check_target(const ServedCheckpoint& checkpoint, const ServeTarget& target) {
  const Judgement judgement = judge(checkpoint, target);
  if (serves(judgement.verdict)) {
    return {};
  }
  return invalid_argument("--serve-on " + to_string(target) + ": " + judgement.text + ": " +
                          judgement.remedy)
      .with_reason("NOT_SERVABLE")
      .with_detail("target", to_string(target))
      .with_detail("verdict", std::string(to_string(judgement.verdict)));
}

bool loads_wrong(const ServedCheckpoint& checkpoint) {
  return std::any_of(std::begin(kEngines), std::end(kEngines), [&](Engine engine) {
    return judge(checkpoint, {engine, 1, {}}).verdict == Verdict::kWrong;
  });
}

std::vector<Engine> engines_that_run(const ServedCheckpoint& checkpoint) {
  std::vector<Engine> engines;
  for (const Engine engine : kEngines) {
    const bool some = std::any_of(std::begin(kGpus), std::end(kGpus), [&](Gpu gpu) {
      return serves(judge(checkpoint, {engine, 1, gpu}).verdict);
    });
    if (some) {
      engines.push_back(engine);
    }
  }
  return engines;
}

}  // namespace rotor
