#include "model/calibration/read_windows.h"

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include "model/calibration/documents.h"
#include "model/calibration/line_reader.h"
#include "model/calibration/window_cutter.h"
#include "quant/io/file.h"

namespace rotor {
namespace {

constexpr int64_t kMostTextBytes = int64_t{1} << 36;
constexpr int64_t kAllWindows = std::numeric_limits<int64_t>::max();

/// Reads files one after another into a cutter.
class WindowReader {
 public:
  WindowReader(const TextSource& source, const Tokenizer* tokenizer, const ModelConfig& config,
               int64_t most_windows)
      : source_(source),
        tokenizer_(tokenizer),
        config_(config),
        cutter_(source.seq_len, most_windows) {}

  Status read_all() {
    for (const std::string& path : source_.files) {
      if (cutter_.full()) {
        break;
      }
      if (path.ends_with(".parquet") || path.ends_with(".arrow")) {
        return invalid_argument(path +
                                ": Parquet and Arrow files are made into token ids first: "
                                "`rotor prepare-calibration MODEL --calibration FILE "
                                "--output ids.jsonl` (`rotor quantize` does it by itself)")
            .with_reason("BAD_CALIBRATION_DATA")
            .with_detail("file", path);
      }
      const bool is_json = path.ends_with(".json") || path.ends_with(".jsonl");
      ROTOR_RETURN_IF_ERROR(is_json ? read_json(path) : read_text(path));
      cutter_.end_run();
    }
    return {};
  }

  WindowCutter& cutter() { return cutter_; }

 private:
  Status read_text(const std::string& path) {
    ROTOR_ASSIGN_OR_RETURN(const std::string bytes,
                           read_whole_file(posix_file_system(), path, kMostTextBytes));
    const std::string_view text = without_mark(bytes);
    if (text.empty()) {
      return invalid_argument(path + ": the file is empty; give text to calibrate on")
          .with_reason("BAD_CALIBRATION_DATA")
          .with_detail("file", path);
    }
    Result<std::vector<int32_t>> ids = encode(path, text, cutter_.missing_ids());
    if (!ids.ok()) {
      return locate(ids.status(), path, text);
    }
    cutter_.append(*ids);
    return {};
  }

  Status read_json(const std::string& path) {
    return read_documents(posix_file_system(), path, config_.vocab_size,
                          [&](Document document) { return add(std::move(document)); });
  }

  Result<bool> add(Document document) {
    const bool packed = source_.mode == CalibrationMode::kPacked;
    if (!document.has_ids) {
      const int64_t most = packed ? cutter_.missing_ids() : source_.seq_len;
      Result<std::vector<int32_t>> ids =
          encode(document.place.file, document.text, most, document.special_tokens);
      if (!ids.ok()) {
        return ids.status()
            .with_context(document.place.text())
            .with_detail("file", document.place.file)
            .with_detail(document.place.name, std::to_string(document.place.number));
      }
      document.ids = std::move(ids).value();
    }
    if (packed) {
      cutter_.append(document.ids);
    } else {
      cutter_.add_document(document.ids);
    }
    return !cutter_.full();
  }

  Result<std::vector<int32_t>> encode(const std::string& path, std::string_view text,
                                      int64_t max_ids, bool special_tokens = true) const {
    if (tokenizer_ == nullptr) {
      return invalid_argument(path +
                              ": holds text, and the model has no tokenizer.json to turn it "
                              "into token ids; add the file to the model, or give JSON lines "
                              "with \"input_ids\"")
          .with_reason("NEEDS_TOKENIZER")
          .with_detail("file", path);
    }
    ROTOR_ASSIGN_OR_RETURN(std::vector<int32_t> ids,
                           tokenizer_->encode(text, max_ids, special_tokens));
    const auto outside =
        std::find_if(ids.begin(), ids.end(), [&](int32_t id) { return id >= config_.vocab_size; });
    if (outside != ids.end()) {
      return invalid_argument("tokenizer.json gives the token id " + std::to_string(*outside) +
                              ", and config.json has a vocab_size of " +
                              std::to_string(config_.vocab_size) +
                              ": the two files belong to different models")
          .with_reason("BAD_CALIBRATION_DATA");
    }
    return ids;
  }

  /// Adds the file, and the line of a byte offset that the tokenizer found fault with.
  static Status locate(const Status& status, const std::string& path, std::string_view text) {
    std::string place = path;
    Status located = status;
    const auto offset = status.details().find("offset");
    if (offset != status.details().end()) {
      const int64_t line = line_at(text, std::stoull(offset->second));
      place.append(":").append(std::to_string(line));
      located = std::move(located).with_detail("line", std::to_string(line));
    }
    if (status.reason() == "INVALID_UTF8") {
      located = std::move(located).with_reason("BAD_CALIBRATION_DATA");
    }
    return std::move(located).with_context(place).with_detail("file", path);
  }

  const TextSource& source_;
  const Tokenizer* tokenizer_;
  const ModelConfig& config_;
  WindowCutter cutter_;
};

Status bad_option(const std::string& message) {
  return invalid_argument(message).with_reason("BAD_CALIBRATION_OPTIONS");
}

Status check_common(const TextSource& source, const ModelConfig& config) {
  if (source.files.empty()) {
    return bad_option("no file of text was given: name at least one");
  }
  if (source.seq_len < 2) {
    return bad_option("a sequence length of " + std::to_string(source.seq_len) +
                      " tokens: it must be at least 2");
  }
  if (source.seq_len > std::numeric_limits<int32_t>::max()) {
    return bad_option("a sequence length of " + std::to_string(source.seq_len) +
                      " tokens is more than any model takes");
  }
  if (const SequenceLimit limit = config.longest_sequence(); source.seq_len > limit.tokens) {
    return bad_option("a sequence length of " + std::to_string(source.seq_len) +
                      " tokens: the model takes at most " + std::to_string(limit.tokens) + " (" +
                      limit.key +
                      " in config.json); give a shorter --seq-len, or --eval-seq-len of a job's "
                      "evaluation");
  }
  return {};
}

Status too_few(const TextSource& source, const WindowCutter& cutter, int64_t wanted) {
  std::string files;
  for (const std::string& file : source.files) {
    files += (files.empty() ? "" : ", ") + file;
  }
  std::string message = files + ": " + std::to_string(cutter.seen_ids()) + " tokens make " +
                        std::to_string(cutter.windows()) + " windows of " +
                        std::to_string(source.seq_len) + " tokens, and " + std::to_string(wanted) +
                        (wanted == 1 ? " is" : " are") + " needed";
  if (cutter.short_documents() > 0) {
    message += " (" + std::to_string(cutter.short_documents()) +
               " documents are shorter than a window and were passed over)";
  }
  return invalid_argument(message +
                          ": give more text, fewer sequences, or a shorter sequence length")
      .with_reason("TOO_FEW_TOKENS")
      .with_detail("file", source.files.front())
      .with_detail("windows", std::to_string(cutter.windows()))
      .with_detail("wanted", std::to_string(wanted));
}

}  // namespace

Result<TokenWindows> read_calibration_windows(const TextSource& source, const Tokenizer* tokenizer,
                                              const ModelConfig& config) {
  ROTOR_RETURN_IF_ERROR(check_common(source, config));
  if (source.sequences < 1) {
    return bad_option("a calibration set of " + std::to_string(source.sequences) +
                      " sequences: it needs at least 1");
  }
  // A choice at random is one among all windows that there are.
  const int64_t most = source.seed == 0 ? source.sequences : kAllWindows;
  WindowReader reader(source, tokenizer, config, most);
  ROTOR_RETURN_IF_ERROR(reader.read_all());
  if (reader.cutter().windows() < source.sequences) {
    return too_few(source, reader.cutter(), source.sequences);
  }
  TokenWindows all = reader.cutter().take();
  if (source.seed == 0) {
    return all;
  }
  TokenWindows chosen;
  chosen.seq_len = all.seq_len;
  chosen.ids.reserve(static_cast<size_t>(source.sequences * source.seq_len));
  for (const int64_t i : choose_windows(all.sequences(), source.sequences, source.seed)) {
    const auto window = all.window(i);
    chosen.ids.insert(chosen.ids.end(), window.begin(), window.end());
  }
  return chosen;
}

Result<TokenWindows> read_evaluation_windows(const TextSource& source, const Tokenizer* tokenizer,
                                             const ModelConfig& config) {
  ROTOR_RETURN_IF_ERROR(check_common(source, config));
  if (source.sequences < 0) {
    return bad_option("an evaluation of " + std::to_string(source.sequences) +
                      " sequences: give 0 for all, or a positive number");
  }
  WindowReader reader(source, tokenizer, config,
                      source.sequences == 0 ? kAllWindows : source.sequences);
  ROTOR_RETURN_IF_ERROR(reader.read_all());
  if (reader.cutter().windows() == 0) {
    return too_few(source, reader.cutter(), 1);
  }
  return reader.cutter().take();
}

}  // namespace rotor
