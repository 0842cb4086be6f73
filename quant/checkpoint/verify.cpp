#include "quant/checkpoint/verify.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "quant/base/json.h"
#include "quant/checkpoint/checkpoint_reader.h"
#include "quant/checkpoint/layout.h"
#include "quant/checkpoint/layout_limits.h"
#include "quant/checkpoint/verify_files.h"
#include "quant/checkpoint/verify_module.h"
#include "quant/checkpoint/verify_names.h"

namespace rotor {
namespace {

// What belongs to which quantized module; the rest are others.
struct Contents {
  std::vector<std::string> modules;
  std::vector<TensorSpec> others;
};

Contents sort_tensors(const CheckpointReader& reader, const CheckpointLayout* layout,
                      const StoredQuantization& quantization) {
  Contents contents;
  NameSet owned;
  if (layout != nullptr) {
    for (const TensorSpec& tensor : reader.tensors()) {
      const std::string module = layout->module_of_codes(tensor);
      if (module.empty()) {
        continue;
      }
      contents.modules.push_back(module);
      for (TensorSpec& spec :
           layout->tensor_specs({module, 0, 0, 0}, quantization.scheme, quantization.activations)) {
        owned.insert(std::move(spec.name));
      }
    }
  }
  for (const TensorSpec& tensor : reader.tensors()) {
    if (!owned.contains(tensor.name)) {
      contents.others.push_back(tensor);
    }
  }
  return contents;
}

void digest_others(const CheckpointReader& reader, const std::vector<TensorSpec>& others,
                   Parallel& parallel, VerifyReport& report) {
  std::vector<Result<std::string>> digests(others.size(), std::string());
  parallel.for_each(std::ssize(others), [&](int64_t i) {
    const auto at = static_cast<size_t>(i);
    digests[at] = tensor_digest(reader, others[at]);
  });
  for (size_t i = 0; i < others.size(); ++i) {
    if (digests[i].ok()) {
      report.tensors.emplace(others[i].name, *digests[i]);
    } else {
      report.problems.push_back(
          problem_of(digests[i].status(), others[i].name, "fetch or write the file again"));
    }
  }
}

void check_modules(const CheckpointReader& reader, const CheckpointLayout& layout,
                   const LayoutLimits& limits, const StoredQuantization& quantization,
                   const Contents& contents, Parallel& parallel, VerifyReport& report) {
  std::vector<ModuleCheck> checks(contents.modules.size());
  parallel.for_each(std::ssize(checks), [&](int64_t i) {
    const auto at = static_cast<size_t>(i);
    checks[at] = verify_module(layout, quantization, reader, contents.modules[at]);
  });
  std::map<std::string, ModuleCheck> by_name;
  for (ModuleCheck& check : checks) {
    report.problems.insert(report.problems.end(), check.problems.begin(), check.problems.end());
    if (!check.module.digest.empty()) {
      report.modules.emplace(check.name, check.module);
    }
    std::string name = check.name;
    by_name.emplace(std::move(name), std::move(check));
  }
  const ModuleTable table = layout.table(quantization.scheme);
  const CheckpointNames names{quantization, limits, table, by_name, contents.others, reader};
  check_ignore_lists(names, report.problems);
  check_fused(names, report.problems);
  check_experts(names, report.problems);
  check_rotations(names, report.problems);
}

/// As config.json has them, its text part's where it wraps one.
Heads heads_of(const nlohmann::json& config) {
  const nlohmann::json text = config.value("text_config", nlohmann::json());
  const nlohmann::json& model = text.is_object() ? text : config;
  const auto read = [&](const char* key, std::set<int64_t>& into) {
    const auto at = model.find(key);
    if (at != model.end() && at->is_number_integer() && at->get<int64_t>() > 0) {
      into.insert(at->get<int64_t>());
    }
  };
  Heads heads;
  read("num_attention_heads", heads.cut);
  read("linear_num_key_heads", heads.cut);
  read("linear_num_value_heads", heads.cut);
  if (!model.contains("kv_lora_rank")) {  // latents become as many heads of keys as of queries
    read("num_key_value_heads", heads.shared);
  }
  return heads;
}

ServedCheckpoint served_by(const std::string& config_text, const StoredQuantization& quantization,
                           const std::map<std::string, VerifiedModule>& verified) {
  std::vector<QuantizedModule> modules;
  modules.reserve(verified.size());
  for (const auto& [name, module] : verified) {
    modules.push_back({name, module.rows, module.cols, module.rotation});
  }
  // The text was parsed before, as that of a quantized checkpoint.
  const Result<nlohmann::json> config = parse_json(config_text, "config.json");
  const bool is_object = config.ok() && config->is_object();
  return served_checkpoint(is_object ? config->value("model_type", std::string()) : std::string(),
                           quantization.layout, quantization.scheme, quantization.activations,
                           modules, is_object ? heads_of(*config) : Heads());
}

// What is known to be quantized: its modules, the rules that span them, and the files.
Status check_quantized(FileSystem& fs, const CheckpointReader& reader,
                       const StoredQuantization& quantization, const Contents& contents,
                       Parallel& parallel, VerifyReport& report) {
  const CheckpointLayout& layout = find_layout(quantization.layout);
  ROTOR_ASSIGN_OR_RETURN(
      const LayoutLimits* limits,
      find_limits(quantization.layout, quantization.scheme.format, quantization.activations));
  report.quantized = true;
  report.layout = quantization.layout;
  report.scheme = quantization.scheme;
  report.activations = quantization.activations;
  check_modules(reader, layout, *limits, quantization, contents, parallel, report);
  check_files(fs, reader, report.problems);
  const Status others = layout.check_other_files(fs, reader.directory(), quantization);
  if (!others.ok()) {
    report.problems.push_back(problem_of(others, reader.directory(), kQuantizeAgain));
  }
  if (contents.modules.empty()) {
    report.problems.push_back({"config.json", "says quantized, and no module is", kQuantizeAgain});
  }
  return {};
}

}  // namespace

Result<VerifyReport> verify_checkpoint(FileSystem& fs, const std::string& directory,
                                       Parallel& parallel) {
  const std::string config_path = join_path(directory, "config.json");
  ROTOR_ASSIGN_OR_RETURN(const std::string config,
                         read_whole_file(fs, config_path, kMaxConfigBytes));
  VerifyReport report;
  const auto opened = CheckpointReader::open(fs, directory);
  if (!opened.ok()) {
    report.problems.push_back(
        problem_of(opened.status(), directory, "fetch or write the checkpoint again"));
    return report;
  }
  const CheckpointReader& reader = **opened;
  const CheckpointLayout* layout = nullptr;
  const auto parsed = parse_quantization_config(config, config_path);
  if (parsed.ok()) {
    layout = &find_layout(parsed->layout);
  } else if (parsed.status().reason() != "NOT_QUANTIZED") {
    report.problems.push_back(problem_of(parsed.status(), "config.json", kQuantizeAgain));
  }
  const StoredQuantization quantization = parsed.ok() ? *parsed : StoredQuantization{};
  const Contents contents = sort_tensors(reader, layout, quantization);
  if (layout != nullptr) {
    ROTOR_RETURN_IF_ERROR(check_quantized(fs, reader, quantization, contents, parallel, report));
  }
  digest_others(reader, contents.others, parallel, report);
  if (report.quantized) {
    report.served = served_by(config, quantization, report.modules);
  }
  return report;
}

}  // namespace rotor
