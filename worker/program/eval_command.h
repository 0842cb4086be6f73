// `rotor-worker eval`: perplexity of a checkpoint directory, what `rotor eval` runs.
#pragma once

#include <string>
#include <vector>

#include "quant/base/status.h"
#include "worker/backend/backend.h"

namespace rotor::worker {

struct EvalOptions {
  std::string directory;
  std::vector<std::string> files;
  int64_t sequences = 0;  // at most; 0: all
  int64_t seq_len = 2048;
  std::string losses;       // file to write every token's loss to; empty: none
  std::string against;      // the source to compare with; empty: none
  std::string divergences;  // file to write every token's divergence from it to; empty: none
};

/// Writes the files that are asked for (eval/losses_file.h), and prints one JSON object on stdout:
/// perplexity, tokens, sequences, seq_len, seconds, and, against a source, source_perplexity, kl
/// and same_top; progress goes to stderr. On an error it
/// prints nothing: the caller does. Errors: those of the tokenizer, the windows and the evaluation.
Status run_eval(Backend& backend, const EvalOptions& options);

}  // namespace rotor::worker
