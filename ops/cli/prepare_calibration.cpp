#include "ops/cli/prepare_calibration.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "model/config.h"
#include "ops/cli/executables.h"
#include "ops/cli/process.h"
#include "quant/base/json.h"
#include "quant/io/file.h"

namespace rotor::cli {
namespace {

constexpr int64_t kMostConfigBytes = int64_t{16} << 20;
constexpr int64_t kMostErrorBytes = int64_t{1} << 20;
constexpr double kForever = 1e9;  // seconds

/// The last line that the program wrote before it failed.
Status failure_of(const std::string& file, const ExitStatus& ended, const std::string& written) {
  const size_t end = written.find_last_not_of('\n');
  const size_t begin = end == std::string::npos ? 0 : written.rfind('\n', end) + 1;
  const std::string last =
      end == std::string::npos ? std::string() : written.substr(begin, end + 1 - begin);
  const Result<nlohmann::json> told = parse_json(last, file);
  if (!told.ok() || !told->is_object() || !told->contains("reason")) {
    return internal_error(file + ": reading the data set ended with " + ended.text() + ": " + last)
        .with_detail("file", file);
  }
  Status status =
      invalid_argument(told->value("message", "")).with_reason(told->value("reason", ""));
  for (const auto& [key, value] : (*told)["details"].items()) {
    status = std::move(status).with_detail(key, value.get<std::string>());
  }
  return status;
}

/// The file's documents as JSON lines at `rendered`.
Status render(const std::string& model, const std::string& file,
              const std::filesystem::path& rendered) {
  ROTOR_ASSIGN_OR_RETURN(const std::string program, find_sibling("rotor-dataset"));
  const std::filesystem::path log = rendered.string() + ".log";
  std::filesystem::remove(log);
  ROTOR_ASSIGN_OR_RETURN(ChildProcess child,
                         ChildProcess::start({{program, model, file, rendered.string()}, log}));
  const ExitStatus ended = child.wait_for(kForever).value_or(ExitStatus{});
  ROTOR_ASSIGN_OR_RETURN(const std::string written,
                         read_whole_file(posix_file_system(), log.string(), kMostErrorBytes));
  std::filesystem::remove(log);
  return ended.success() ? Status() : failure_of(file, ended, written);
}

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

/// What is rendered is needed while it is read alone.
class Rendered {
 public:
  explicit Rendered(std::filesystem::path output) : output_(std::move(output)) {}
  Rendered(const Rendered&) = delete;
  Rendered& operator=(const Rendered&) = delete;
  ~Rendered() {
    std::error_code ignored;
    for (const std::filesystem::path& file : files_) {
      std::filesystem::remove(file, ignored);
    }
  }
  std::filesystem::path next() {
    files_.push_back(output_.string() + ".rendered-" + std::to_string(files_.size()) + ".jsonl");
    return files_.back();
  }

 private:
  std::filesystem::path output_;
  std::vector<std::filesystem::path> files_;
};

}  // namespace

Result<PreparedCalibration> prepare_calibration(const CalibrationSettings& settings) {
  ROTOR_RETURN_IF_ERROR(check_weights(settings.sources));
  const std::string config_path = join_path(settings.model, "config.json");
  ROTOR_ASSIGN_OR_RETURN(const std::string text,
                         read_whole_file(posix_file_system(), config_path, kMostConfigBytes));
  ROTOR_ASSIGN_OR_RETURN(const ModelConfig config, parse_model_config(text, config_path, true));
  Rendered rendered(settings.output);
  std::vector<std::string> files;
  for (const CalibrationSource& source : settings.sources) {
    files.push_back(source.file);
    if (needs_rendering(source.file)) {
      files.back() = rendered.next().string();
      ROTOR_RETURN_IF_ERROR(render(settings.model, source.file, files.back()));
    }
  }
  const Result<std::unique_ptr<Tokenizer>> tokenizer =
      open_tokenizer(join_path(settings.model, "tokenizer.json"));
  const Result<TokenWindows> windows =
      read_windows(settings, files, tokenizer.ok() ? tokenizer->get() : nullptr, config);
  if (windows.status().reason() == "NEEDS_TOKENIZER") {
    return tokenizer.status();
  }
  ROTOR_RETURN_IF_ERROR(windows.status());
  ROTOR_RETURN_IF_ERROR(write_windows(*windows, settings.output));
  return PreparedCalibration{windows->sequences(), windows->digest()};
}

}  // namespace rotor::cli
