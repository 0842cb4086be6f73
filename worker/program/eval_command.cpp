#include "worker/program/eval_command.h"

#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "model/calibration/read_windows.h"
#include "model/config.h"
#include "model/tokenizer/tokenizer.h"
#include "quant/io/file.h"
#include "worker/eval/evaluate.h"
#include "worker/eval/losses_file.h"
#include "worker/program/show_progress.h"

namespace rotor::worker {
namespace {

constexpr int64_t kMaxConfigBytes = 16 << 20;

Result<TokenWindows> read_windows(const EvalOptions& options) {
  const std::string config_path = options.directory + "/config.json";
  ROTOR_ASSIGN_OR_RETURN(const std::string text,
                         read_whole_file(posix_file_system(), config_path, kMaxConfigBytes));
  ROTOR_ASSIGN_OR_RETURN(const ModelConfig config, parse_model_config(text, config_path, true));
  const Result<std::unique_ptr<Tokenizer>> tokenizer =
      open_tokenizer(options.directory + "/tokenizer.json");
  TextSource source;
  source.files = options.files;
  source.sequences = options.sequences;
  source.seq_len = options.seq_len;
  Result<TokenWindows> windows =
      read_evaluation_windows(source, tokenizer.ok() ? tokenizer->get() : nullptr, config);
  // A tokenizer that cannot be used matters only where some file holds text.
  return windows.status().reason() == "NEEDS_TOKENIZER" ? tokenizer.status() : std::move(windows);
}

}  // namespace

Status run_eval(Backend& backend, const EvalOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  ROTOR_ASSIGN_OR_RETURN(const TokenWindows windows, read_windows(options));
  Comparison comparison;
  nlohmann::json out;
  if (options.against.empty()) {
    ROTOR_ASSIGN_OR_RETURN(comparison.result,
                           evaluate(backend, options.directory, windows, show_progress));
  } else {
    ROTOR_ASSIGN_OR_RETURN(
        comparison, compare(backend, options.directory, options.against, windows, show_progress));
    out = {{"source_perplexity", comparison.source.perplexity},
           {"kl", comparison.kl},
           {"same_top", comparison.same_top}};
  }
  const EvalResult& result = comparison.result;
  if (!options.losses.empty()) {
    ROTOR_RETURN_IF_ERROR(
        write_losses(posix_file_system(), options.losses, result.losses, result.sequences));
  }
  if (!options.divergences.empty()) {
    ROTOR_RETURN_IF_ERROR(write_losses(posix_file_system(), options.divergences,
                                       comparison.kl_by_token, result.sequences));
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  out.update({{"perplexity", result.perplexity},
              {"tokens", result.tokens},
              {"sequences", result.sequences},
              {"seq_len", options.seq_len},
              {"seconds", seconds.count()}});
  std::printf("%s\n", out.dump().c_str());
  return {};
}

}  // namespace rotor::worker
