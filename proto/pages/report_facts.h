// What the page of a job or of a checkpoint tells, taken from where it is known: a job's report, or
// the rotor_report.json beside a checkpoint, and the result of an evaluation. What a coordinator
// writes beside a checkpoint is made of the same (coordinator/assemble/checkpoint_facts.h).
//
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "quant/base/status.h"
#include "rotor/v1/job.pb.h"

namespace rotor {

struct ReportFacts {
  std::string name;  // of the job, or of the checkpoint's directory
  std::vector<std::pair<std::string, std::string>> settings;  // that decide bytes, in their order
  std::vector<v1::ModuleReport> modules;                      // in model order
  std::vector<std::string> serving_modes;
  std::vector<std::string> warnings;
  int64_t output_bytes = 0;  // 0: not known
  std::optional<double> perplexity;
  int64_t perplexity_tokens = 0;
  std::optional<double> source_perplexity;  // of the same windows
  std::optional<double> kl;                 // nats a token, from the source's predictions
  std::optional<double> same_top;           // share of tokens
  // What depends on time and place, and so is not beside a checkpoint.
  double seconds = 0.0;
  std::vector<v1::PhaseTime> phases;
  std::vector<std::string> workers;
};

/// Means over the modules; 0 where there are none.
struct MeanErrors {
  double error = 0.0;
  double rtn_error = 0.0;
  int64_t fallbacks = 0;  // modules that fell back on something
};
MeanErrors mean_errors(const ReportFacts& facts);

/// The members of an object of settings, as people read them.
std::vector<std::pair<std::string, std::string>> setting_texts(
    const nlohmann::ordered_json& options);

ReportFacts report_facts(const v1::Report& report);

/// `file`: the object in rotor_report.json, with the bytes of the checkpoint's tensors. Error:
/// INVALID_ARGUMENT, reason BAD_REPORT, naming the key that is not as it should be.
Result<ReportFacts> report_facts(const std::string& name, const nlohmann::ordered_json& file,
                                 int64_t output_bytes);

/// Adds what `rotor eval -o json` gave. Error: INVALID_ARGUMENT, reason BAD_EVALUATION.
Status add_evaluation(const nlohmann::ordered_json& evaluation, ReportFacts* facts);

}  // namespace rotor
