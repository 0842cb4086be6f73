// The options of quantize and submit, straight into the JobSpec.
#include <CLI/CLI.hpp>
#include <filesystem>

#include "ops/cli/enum_option.h"
#include "ops/cli/exit_code.h"
#include "ops/cli/options.h"
#include "ops/cli/override_option.h"
#include "ops/cli/units.h"
#include "ops/cli/value_or_throw.h"

namespace rotor::cli {
namespace {

constexpr char kRecipe[] = "Recipe";
constexpr char kCalibration[] = "Calibration";
constexpr char kCheckpoint[] = "Checkpoint";
constexpr char kWork[] = "Work and limits";
constexpr char kEvaluation[] = "Evaluation";

template <typename E, typename Setter>
void add_enum(CLI::App& command, const std::string& name, const char* group,
              const std::string& help, Setter set) {
  command
      .add_option_function<std::string>(
          name,
          [name, set](const std::string& text) { set(value_or_throw(name, parse_enum<E>(text))); },
          help)
      ->type_name(enum_choices<E>())
      ->group(group);
}

/// A number with its range; NaN is in no range.
template <typename T, typename Setter>
void add_number(CLI::App& command, const std::string& name, const char* group, T low, T high,
                const std::string& help, Setter set) {
  CLI::Option* const option = command.add_option_function<T>(
      name,
      [name, low, high, set](const T& value) {
        if (!(value >= low && value <= high)) {
          throw CLI::ValidationError(name, "not in [" + CLI::detail::to_string(low) + ", " +
                                               CLI::detail::to_string(high) + "]");
        }
        set(value);
      },
      help);
  option->type_name(std::is_floating_point_v<T> ? "F" : "N")->group(group);
  if constexpr (std::is_unsigned_v<T>) {
    // Conversion would wrap -1 around.
    option->check(CLI::NonNegativeNumber.description(""));
  }
}

void add_paths(CLI::App& command, v1::JobSpec& spec) {
  command
      .add_option_function<std::string>(
          "model", [&spec](const std::string& path) { spec.set_model(path); },
          "Directory of the checkpoint to quantize (config.json, *.safetensors)")
      ->required()
      ->type_name("MODEL");
  command
      .add_option_function<std::string>(
          "--output", [&spec](const std::string& path) { spec.set_output(path); },
          "Directory to make; it must not exist yet")
      ->required()
      ->type_name("DIR");
}

void add_recipe(CLI::App& command, v1::JobSpec& spec) {
  spec.set_format(v1::FORMAT_NVFP4);
  add_enum<v1::Format>(command, "--format", kRecipe, "Format of the weights (default: nvfp4)",
                       [&spec](v1::Format value) { spec.set_format(value); });
  add_enum<v1::Method>(command, "--method", kRecipe,
                       "Rounding method (default: mr-gptq; int4: gptq)",
                       [&spec](v1::Method value) { spec.set_method(value); });
  add_enum<v1::Activations>(command, "--activations", kRecipe,
                            "Activations at run time: kept, or 4-bit too (default: a16)",
                            [&spec](v1::Activations value) { spec.set_activations(value); });
  command
      .add_option_function<std::string>(
          "--rotation",
          [&spec](const std::string& text) {
            constexpr std::string_view kMerged = "merged:";
            const bool merged = text.starts_with(kMerged);
            const std::string block = merged ? text.substr(kMerged.size()) : text;
            spec.set_rotation(merged || block == "none" ? 0 : std::stoi(block));
            spec.set_merged_rotation(merged ? std::stoi(block) : 0);
          },
          "Hadamard block on the inputs of linears at run time, or merged into the model, so that "
          "any engine runs it (default: mxfp4 merged:128, where the model takes it; layout "
          "fp-quant "
          "nvfp4 16, mxfp4 128; else none)")
      ->check(CLI::IsMember({"none", "16", "32", "64", "128", "256", "merged:16", "merged:32",
                             "merged:64", "merged:128", "merged:256"})
                  .description(""))
      ->type_name("none|[merged:]16|32|64|128|256")
      ->group(kRecipe);
  add_number<int32_t>(command, "--group-size", kRecipe, 8, 65536,
                      "Columns that share a scale; int4 only (default: 128)",
                      [&spec](int32_t value) { spec.set_group_size(value); });
  add_enum<v1::ScaleSearch>(command, "--scale-search", kRecipe,
                            "How group scales are chosen (default: mse)",
                            [&spec](v1::ScaleSearch value) { spec.set_scale_search(value); });
  command
      .add_flag_function(
          "--act-order,!--no-act-order", [&spec](int64_t given) { spec.set_act_order(given > 0); },
          "Solve columns by descending Hessian diagonal (default: on for gptq and mr-gptq)")
      ->group(kRecipe);
  add_number<double>(command, "--damping", kRecipe, 0, 1,
                     "Share of the mean Hessian diagonal added to it (default: 0.01)",
                     [&spec](double value) { spec.set_damping(value); });
  add_number<int32_t>(command, "--refine", kRecipe, 0, 16,
                      "Passes of descent over the codes that GPTQ leaves (default: 2)",
                      [&spec](int32_t value) { spec.set_refine_passes(value); });
  add_number<double>(command, "--least-expert-share", kRecipe, 0, 1,
                     "Experts that see less than this share of the mean are rounded to nearest "
                     "(default: 0.005)",
                     [&spec](double value) { spec.set_least_expert_share(value); });
  add_enum<v1::Propagate>(
      command, "--propagate", kRecipe,
      "What feeds a layer: quantized predecessors, or the original model, whose "
      "layers run in parallel (default: quantized)",
      [&spec](v1::Propagate value) { spec.set_propagate(value); });
  add_enum<v1::Sequential>(
      command, "--sequential", kRecipe,
      "Within a layer: stage after stage, or all from one pass (default: stage)",
      [&spec](v1::Sequential value) { spec.set_sequential(value); });
  command
      .add_option_function<std::vector<std::string>>(
          "--ignore",
          [&spec](const std::vector<std::string>& patterns) {
            spec.mutable_ignore()->Assign(patterns.begin(), patterns.end());
          },
          "Modules to leave as they are, besides lm_head, embeddings and routers; may be given "
          "again")
      ->type_name("PATTERN")
      ->allow_extra_args(false)
      ->group(kRecipe);
  command
      .add_option_function<std::vector<std::string>>(
          "--override",
          [&spec](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
              *spec.add_overrides() = value_or_throw("--override", parse_override(text));
            }
          },
          "Settings of some modules: method, scale-search, act-order, damping; may be given again")
      ->type_name("PATTERN:key=value,...")
      ->allow_extra_args(false)
      ->group(kRecipe);
}

void add_calibration(CLI::App& command, v1::JobSpec& spec) {
  command
      .add_option_function<std::vector<std::string>>(
          "--calibration",
          [&spec](const std::vector<std::string>& files) {
            spec.mutable_calibration()->mutable_files()->Assign(files.begin(), files.end());
          },
          "Text files, or JSON (lines) with `text` or `input_ids`")
      ->type_name("FILE")
      ->group(kCalibration);
  add_number<int64_t>(command, "--sequences", kCalibration, 1, int64_t{1} << 24,
                      "Calibration windows (default: 128)",
                      [&spec](int64_t value) { spec.mutable_calibration()->set_sequences(value); });
  add_number<int64_t>(command, "--seq-len", kCalibration, 2, int64_t{1} << 24,
                      "Tokens of a window (default: 2048)",
                      [&spec](int64_t value) { spec.mutable_calibration()->set_seq_len(value); });
  add_number<uint64_t>(command, "--seed", kCalibration, 0, UINT64_MAX,
                       "0: the first windows in file order; else a seeded choice (default: 0)",
                       [&spec](uint64_t value) { spec.mutable_calibration()->set_seed(value); });
  add_enum<v1::CalibrationMode>(
      command, "--calibration-mode", kCalibration,
      "Documents one after another, or a window from each (default: packed)",
      [&spec](v1::CalibrationMode value) { spec.mutable_calibration()->set_mode(value); });
}

void add_checkpoint(CLI::App& command, v1::JobSpec& spec) {
  add_enum<v1::Layout>(command, "--layout", kCheckpoint,
                       "How the checkpoint is written (default: compressed-tensors)",
                       [&spec](v1::Layout value) { spec.set_layout(value); });
  command
      .add_option_function<std::string>(
          "--max-shard-size",
          [&spec](const std::string& text) {
            spec.set_max_shard_size(value_or_throw("--max-shard-size", parse_size(text)));
          },
          "Largest file of the checkpoint: bytes, or 500MB, 5GB, 2GiB (default: 5GB)")
      ->type_name("SIZE")
      ->group(kCheckpoint);
}

void add_work(CLI::App& command, v1::JobSpec& spec) {
  add_number<double>(
      command, "--limit-fallbacks", kWork, 0, 1,
      "Share of the modules that may fall back before the job fails (default: 1)",
      [&spec](double value) { spec.mutable_limits()->set_max_fallback_share(value); });
  add_number<int32_t>(command, "--lanes", kWork, 1, 1024,
                      "Partial sums of a Hessian; part of what decides the bytes (default: 8)",
                      [&spec](int32_t value) { spec.mutable_plan()->set_lanes(value); });
  add_number<int32_t>(
      command, "--micro-batch", kWork, 1, 65536,
      "Sequences of a micro-batch; part of what decides the bytes (default: 8192 tokens' worth; "
      "of a mixture up to 32768)",
      [&spec](int32_t value) { spec.mutable_plan()->set_micro_batch_sequences(value); });
}

void add_evaluation(CLI::App& command, v1::JobSpec& spec) {
  CLI::Option* text =
      command
          .add_option_function<std::vector<std::string>>(
              "--eval-text",
              [&spec](const std::vector<std::string>& files) {
                spec.mutable_evaluation()->mutable_files()->Assign(files.begin(), files.end());
              },
              "Measure the quantized model's perplexity on these files while the job runs")
          ->type_name("FILE")
          ->group(kEvaluation);
  add_number<int64_t>(command, "--eval-sequences", kEvaluation, 1, int64_t{1} << 40,
                      "Windows at most (default: all)",
                      [&spec](int64_t value) { spec.mutable_evaluation()->set_sequences(value); });
  add_number<int64_t>(command, "--eval-seq-len", kEvaluation, 2, int64_t{1} << 24,
                      "Tokens of a window (default: that of --seq-len)",
                      [&spec](int64_t value) { spec.mutable_evaluation()->set_seq_len(value); });
  command.get_option("--eval-sequences")->needs(text);
  command.get_option("--eval-seq-len")->needs(text);
}

std::string absolute(const std::string& path) {
  // Lexically: a link stays the link that the user named.
  std::string result = std::filesystem::absolute(path).lexically_normal().string();
  while (result.size() > 1 && result.back() == '/') {
    result.pop_back();
  }
  return result;
}

}  // namespace

void add_job_options(CLI::App& command, JobOptions& options) {
  add_paths(command, options.spec);
  add_recipe(command, options.spec);
  add_calibration(command, options.spec);
  add_checkpoint(command, options.spec);
  add_evaluation(command, options.spec);
  add_work(command, options.spec);
}

Status finish_job_spec(v1::JobSpec& spec) {
  if (spec.calibration().files().empty()) {
    return invalid_argument("no calibration text was given: name files with --calibration FILE...")
        .with_reason(kReasonUsage)
        .with_detail("option", "--calibration");
  }
  if (spec.model().empty() || spec.output().empty()) {
    return invalid_argument("an empty path for the model or for --output")
        .with_reason(kReasonUsage);
  }
  spec.set_model(absolute(spec.model()));
  spec.set_output(absolute(spec.output()));
  for (std::string& file : *spec.mutable_calibration()->mutable_files()) {
    file = absolute(file);
  }
  if (spec.has_evaluation()) {
    for (std::string& file : *spec.mutable_evaluation()->mutable_files()) {
      file = absolute(file);
    }
  }
  return {};
}

}  // namespace rotor::cli
