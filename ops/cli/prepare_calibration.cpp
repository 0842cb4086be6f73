#include "ops/cli/prepare_calibration.h"

#include <list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "model/config.h"
#include "ops/cli/executables.h"
#include "ops/cli/exit_code.h"
#include "ops/cli/process.h"
#include "proto/convert.h"
#include "proto/windows.h"
#include "quant/base/status_json.h"
#include "quant/io/file.h"

namespace rotor::cli {
namespace {

constexpr int64_t kMostConfigBytes = int64_t{16} << 20;
constexpr int64_t kMostErrorBytes = int64_t{1} << 20;
constexpr double kPollSeconds = 0.1;

/// A file that is needed for as long as this object lives, and one that an earlier run left.
class Removed {
 public:
  explicit Removed(std::filesystem::path file) : file_(std::move(file)) { remove(); }
  Removed(const Removed&) = delete;
  Removed& operator=(const Removed&) = delete;
  ~Removed() { remove(); }

  const std::filesystem::path& path() const { return file_; }

 private:
  void remove() const {
    std::error_code ignored;
    std::filesystem::remove(file_, ignored);
  }

  std::filesystem::path file_;
};

/// The file's documents as JSON lines at `rendered`.
Status render(const std::string& program, const std::string& model, const std::string& file,
              const std::filesystem::path& rendered, const std::function<bool()>& stopped) {
  const std::filesystem::path log = rendered.string() + ".log";
  const Removed removed(log);
  ROTOR_ASSIGN_OR_RETURN(ChildProcess child,
                         ChildProcess::start({{program, model, file, rendered.string()}, log}));
  std::optional<ExitStatus> ended;
  while (!(ended = child.wait_for(kPollSeconds))) {
    ROTOR_RETURN_IF_ERROR(check_stop(stopped));  // the child dies with its object
  }
  ROTOR_ASSIGN_OR_RETURN(const std::string written,
                         read_whole_file(posix_file_system(), log.string(), kMostErrorBytes));
  return ended->success() ? Status() : dataset_failure(file, ended->text(), written);
}

/// The model's, until it is to stop: large files hold many texts.
class StoppableTokenizer final : public Tokenizer {
 public:
  StoppableTokenizer(const Tokenizer& tokenizer, const std::function<bool()>& stopped)
      : tokenizer_(tokenizer), stopped_(stopped) {}

  int64_t vocab_size() const override { return tokenizer_.vocab_size(); }
  Result<std::vector<int32_t>> encode(std::string_view text, int64_t max_ids,
                                      bool special_tokens) const override {
    ROTOR_RETURN_IF_ERROR(check_stop(stopped_));
    return tokenizer_.encode(text, max_ids, special_tokens);
  }

 private:
  const Tokenizer& tokenizer_;
  const std::function<bool()>& stopped_;
};

/// The windows of all files, or of each its share.
Result<TokenWindows> read_windows(const CalibrationSettings& settings,
                                  const std::vector<std::string>& files, const Tokenizer* tokenizer,
                                  const ModelConfig& config) {
  TextSource source = settings.source;
  if (!settings.sources.front().weight) {
    source.files = files;
    return read_calibration_windows(source, tokenizer, config);
  }
  TokenWindows all;
  all.seq_len = source.seq_len;
  const std::vector<int64_t> shares = share_out(settings.source.sequences, settings.sources);
  for (size_t i = 0; i < files.size(); ++i) {
    if (shares[i] == 0) {
      continue;
    }
    source.files = {files[i]};
    source.sequences = shares[i];
    Result<TokenWindows> part = read_calibration_windows(source, tokenizer, config);
    if (!part.ok()) {
      return part.status().with_context(settings.sources[i].file);
    }
    all.ids.insert(all.ids.end(), part->ids.begin(), part->ids.end());
  }
  return all;
}

Status write_windows(const TokenWindows& windows, const std::filesystem::path& output) {
  std::string text;
  for (int64_t i = 0; i < windows.sequences(); ++i) {
    const auto ids = windows.window(i);
    text +=
        nlohmann::json{{"input_ids", std::vector<int32_t>(ids.begin(), ids.end())}}.dump() + "\n";
  }
  return write_file_atomically(posix_file_system(), output.string(), text);
}

}  // namespace

Result<CalibrationSettings> calibration_settings(v1::JobSpec spec,
                                                 const std::filesystem::path& output) {
  if (spec.format() == v1::FORMAT_UNSPECIFIED && spec.preset().empty()) {
    spec.set_format(v1::FORMAT_NVFP4);  // of weights: windows are the same with any
  }
  ROTOR_ASSIGN_OR_RETURN(const v1::JobSpec full, with_defaults(spec));
  CalibrationSettings settings;
  settings.model = full.model();
  for (const std::string& file : full.calibration().files()) {
    settings.sources.push_back(parse_calibration_source(file));
  }
  settings.source = calibration_source(full, {});
  settings.output = output;
  return settings;
}

Status check_stop(const std::function<bool()>& stopped) {
  return stopped() ? cancelled("interrupted while calibration data was prepared")
                         .with_reason(kReasonInterrupted)
                   : Status();
}

Status dataset_failure(const std::string& file, const std::string& ended,
                       const std::string& written) {
  const size_t end = written.find_last_not_of('\n');
  const size_t begin = end == std::string::npos ? 0 : written.rfind('\n', end) + 1;
  const std::string last =
      end == std::string::npos ? std::string() : written.substr(begin, end + 1 - begin);
  Status told = error_from_json(nlohmann::ordered_json::parse(last, nullptr, false));
  if (told.ok()) {
    return internal_error(file + ": reading the data set ended with " + ended + ": " + last)
        .with_detail("file", file);
  }
  return told;
}

Result<PreparedCalibration> prepare_calibration(const CalibrationSettings& settings,
                                                const std::function<bool()>& stopped) {
  ROTOR_RETURN_IF_ERROR(check_weights(settings.sources));
  const std::string config_path = join_path(settings.model, "config.json");
  ROTOR_ASSIGN_OR_RETURN(const std::string text,
                         read_whole_file(posix_file_system(), config_path, kMostConfigBytes));
  ROTOR_ASSIGN_OR_RETURN(const ModelConfig config, parse_model_config(text, config_path, true));
  std::list<Removed> rendered;
  std::vector<std::string> files;
  for (const CalibrationSource& source : settings.sources) {
    files.push_back(source.file);
    if (needs_rendering(source.file)) {
      rendered.emplace_back(settings.output.string() + ".rendered-" +
                            std::to_string(rendered.size()) + ".jsonl");
      files.back() = rendered.back().path().string();
      ROTOR_ASSIGN_OR_RETURN(const std::string program, find_sibling("rotor-dataset"));
      ROTOR_RETURN_IF_ERROR(render(program, settings.model, source.file, files.back(), stopped));
    }
  }
  const Result<std::unique_ptr<Tokenizer>> tokenizer =
      open_tokenizer(join_path(settings.model, "tokenizer.json"));
  std::optional<StoppableTokenizer> stoppable;
  if (tokenizer.ok()) {
    stoppable.emplace(**tokenizer, stopped);
  }
  const Result<TokenWindows> windows =
      read_windows(settings, files, stoppable ? &*stoppable : nullptr, config);
  if (windows.status().reason() == "NEEDS_TOKENIZER") {
    return tokenizer.status();
  }
  ROTOR_RETURN_IF_ERROR(windows.status());
  ROTOR_RETURN_IF_ERROR(check_stop(stopped));
  ROTOR_RETURN_IF_ERROR(write_windows(*windows, settings.output));
  return PreparedCalibration{windows->sequences(), windows->digest()};
}

}  // namespace rotor::cli
