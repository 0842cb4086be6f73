#include "coordinator/jobs/validate.h"

#include <optional>
#include <utility>

#include "coordinator/jobs/copied_tensors.h"
#include "coordinator/jobs/estimate.h"
#include "coordinator/jobs/output_path.h"
#include "coordinator/jobs/source_check.h"
#include "model/fingerprint.h"
#include "model/served_plan.h"
#include "model/tied_head.h"
#include "proto/convert.h"
#include "proto/windows.h"
#include "quant/base/text.h"
#include "quant/checkpoint/finite_tensor.h"
#include "quant/engines/serving.h"
#include "quant/io/rooted.h"

namespace rotor::coordinator {
namespace {

constexpr int kMostInputFiles = 1024;
constexpr int64_t kMostInputBytes = int64_t{4} << 30;

/// The steps of one validation. Each notes its problems and leaves out what needs what failed.
class Validator {
 public:
  Validator(FileSystem& fs, const CoordinatorOptions& options,
            const std::function<bool()>& cancelled)
      : fs_(fs), options_(options), cancelled_(cancelled) {}

  Validation run(const v1::JobSpec& request) {
    JobRecord& record = result_.record;
    record.request = request;
    record.algorithm_version = kAlgorithmVersion;
    const Result<v1::JobSpec> spec = with_defaults(request);
    record.spec = spec.ok() ? *spec : request;
    note(spec.status());
    open_model_directory();
    if (spec.ok()) {
      make_plan_of_model();
      read_windows();
      estimate();
    }
    check_output_path();
    return std::move(result_);
  }

 private:
  bool note(const Status& status) {
    if (!status.ok()) {
      result_.problems.push_back(status);
    }
    return status.ok();
  }

  void open_model_directory() {
    const Result<std::string> path =
        resolve_beneath(options_.model_root, result_.record.request.model());
    if (!note(path.ok() ? Status() : path.status().with_context("model"))) {
      return;
    }
    result_.record.model_path = *path;
    Result<ModelFiles> model = open_model(fs_, *path);
    if (!note(model.status())) {
      return;
    }
    model_ = std::move(model).value();
    result_.record.layers = static_cast<int32_t>(model_->architecture.layers.size());
    note(check_tied_head(model_->architecture, *model_->weights));
    const Result<ModelFingerprint> fingerprint = fingerprint_model(fs_, *path);
    if (note(fingerprint.status())) {
      result_.record.source = fingerprint->to_text();
    }
  }

  void make_plan_of_model() {
    if (!model_) {
      return;
    }
    fit_to_model(*model_, &result_.record.spec);
    Result<std::shared_ptr<const PreparedJob>> prepared = prepare_job(result_.record.spec, *model_);
    if (note(prepared.status())) {
      result_.prepared = std::move(prepared).value();
      check_targets();
      note(check_copied_tensors());
    }
  }

  /// That what is to run the checkpoint will.
  void check_targets() {
    const ServedCheckpoint served = served_checkpoint(result_.prepared->plan);
    for (const std::string& text : result_.record.spec.serve_on()) {
      const Result<ServeTarget> target = parse_serve_target(text);
      note(target.ok() ? check_target(served, *target) : target.status());
    }
  }

  /// Of those that are copied; the others are looked at where they are computed with. What exceeds
  /// the bound is found when it is copied.
  Status check_copied_tensors() const {
    constexpr int64_t kMostBytes = int64_t{2} << 30;
    std::vector<TensorSpec> copied;
    for (const TensorSpec& tensor : result_.prepared->checkpoint_tensors) {
      const TensorSpec* source = model_->weights->find(tensor.name);
      if (source != nullptr && *source == tensor) {
        copied.push_back(tensor);
      }
    }
    return check_finite_tensors(*model_->weights, std::move(copied), kMostBytes);
  }

  /// The files that exist below a root, resolved; a problem for each that does not.
  std::vector<std::string> resolve_files(
      const google::protobuf::RepeatedPtrField<std::string>& files, bool evaluation) {
    std::vector<std::string> paths;
    if (files.size() > kMostInputFiles) {
      note(invalid_argument(std::to_string(files.size()) +
                            (evaluation ? " evaluation" : " calibration") +
                            " files are more than " + std::to_string(kMostInputFiles) +
                            "; put them together into fewer")
               .with_reason("TOO_MANY_FILES"));
      return paths;
    }
    for (const std::string& file : files) {
      const Result<std::string> path = resolve_data(file);
      if (!note(path.ok() ? Status()
                          : path.status().with_context(evaluation ? "evaluation file"
                                                                  : "calibration file"))) {
        continue;
      }
      if (!note(check_bounds(*path))) {
        return {};  // nothing more is read
      }
      Result<InputFile> input = describe_input(fs_, *path, evaluation);
      if (note(input.status())) {
        result_.record.inputs.push_back(std::move(input).value());
        paths.push_back(*path);
      }
    }
    return paths;
  }

  /// Whether one more file may be read: all of it is, for its digest.
  Status check_bounds(const std::string& path) {
    if (cancelled_()) {
      return cancelled("the caller has gone while the job was validated");
    }
    ROTOR_ASSIGN_OR_RETURN(const FileStat stat, fs_.stat(path));
    input_bytes_ += stat.size;
    if (input_bytes_ <= kMostInputBytes) {
      return {};
    }
    return invalid_argument(path + ": calibration and evaluation files come to more than " +
                            std::to_string(kMostInputBytes >> 30) +
                            " GiB; a few thousand sequences are enough, cut the files")
        .with_reason("INPUTS_TOO_LARGE")
        .with_detail("file", path);
  }

  /// Below any of the roots. The error is that of the first root that the path lies below, or else
  /// one that names them all.
  Result<std::string> resolve_data(const std::string& file) {
    std::vector<std::string> roots = options_.data_roots;
    roots.push_back(options_.model_root);
    Status error;
    std::string names;
    for (const std::string& root : roots) {
      Result<std::string> path = resolve_beneath(root, file, PathKind::kRegularFile);
      if (path.ok()) {
        return path;
      }
      const auto why = path.status().details().find("why");
      const bool outside = why != path.status().details().end() && why->second == kOutsideRoot;
      if (!outside && (error.ok() || error.reason() == "PATH_REFUSED")) {
        error = path.status();
      }
      names += (names.empty() ? "" : ", ") + root;
    }
    if (!error.ok()) {
      return error;
    }
    return invalid_argument(printable(file) + ": outside of all roots of calibration files; name " +
                            "a file below one of " + names)
        .with_reason("PATH_REFUSED")
        .with_detail("path", printable(file))
        .with_detail("roots", names);
  }

  void read_windows() {
    const v1::JobSpec& spec = result_.record.spec;
    const std::vector<std::string> calibration_files =
        resolve_files(spec.calibration().files(), false);
    const std::vector<std::string> evaluation_files =
        resolve_files(spec.evaluation().files(), true);
    const bool found_all =
        calibration_files.size() == static_cast<size_t>(spec.calibration().files_size()) &&
        evaluation_files.size() == static_cast<size_t>(spec.evaluation().files_size());
    if (!model_ || !found_all) {
      return;
    }
    const ModelConfig& config = model_->architecture.config;
    Result<std::unique_ptr<Tokenizer>> tokenizer =
        open_tokenizer(join_path(model_->directory, "tokenizer.json"));
    const Tokenizer* known = tokenizer.ok() ? tokenizer->get() : nullptr;
    // A tokenizer that cannot be used is a problem only where some file holds text.
    const auto note_windows = [&](const Status& status) {
      return note(status.reason() == "NEEDS_TOKENIZER" ? tokenizer.status() : status);
    };
    const Result<TokenWindows> calibration =
        read_calibration_windows(calibration_source(spec, calibration_files), known, config);
    if (!note_windows(calibration.status())) {
      return;
    }
    calibration_tokens_ = static_cast<int64_t>(calibration->ids.size());
    std::optional<TokenWindows> evaluation;
    if (spec.has_evaluation() && model_->architecture.head_weight.empty()) {
      note(invalid_argument(model_->directory +
                            ": the model has no output head, and so no perplexity; submit without "
                            "evaluation files (--eval-text)")
               .with_reason("NO_OUTPUT_HEAD"));
      return;
    }
    if (spec.has_evaluation()) {
      Result<TokenWindows> windows =
          read_evaluation_windows(evaluation_source(spec, evaluation_files), known, config);
      if (!note_windows(windows.status())) {
        return;
      }
      evaluation = std::move(windows).value();
    }
    result_.record.calibration_digest = windows_digest(*calibration, evaluation);
  }

  void estimate() {
    if (!result_.prepared) {
      return;
    }
    Result<v1::Estimate> estimate =
        estimate_job(fs_, result_.record.spec, *result_.prepared, *model_, calibration_tokens_);
    if (note(estimate.status())) {
      result_.record.estimate = std::move(estimate).value();
    }
  }

  void check_output_path() {
    Result<std::string> path = check_output(
        fs_, options_.output_root, result_.record.request.output(), result_.record.model_path);
    if (note(path.status())) {
      result_.record.output_path = std::move(path).value();
    }
  }

  FileSystem& fs_;
  const CoordinatorOptions& options_;
  const std::function<bool()>& cancelled_;
  int64_t input_bytes_ = 0;  // of all calibration and evaluation files
  Validation result_;
  std::optional<ModelFiles> model_;
  int64_t calibration_tokens_ = 0;
};

}  // namespace

Validation validate_job(FileSystem& fs, const CoordinatorOptions& options,
                        const v1::JobSpec& request, const std::function<bool()>& cancelled) {
  return Validator(fs, options, cancelled).run(request);
}

}  // namespace rotor::coordinator
