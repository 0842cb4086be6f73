// From files to windows of token ids. One way to read and cut serves calibration and evaluation, so
// that a perplexity is measured exactly as the model was calibrated.
//
// A file is one of, by its name:
//   *.jsonl  one JSON object a line, blank lines allowed;
//   *.json   an array of strings or of such objects;
//   other    text: the whole file is one document.
// An object holds `text` (with `add_special_tokens` false as it is), or `input_ids` (taken as they
// are, no special tokens added; those that `attention_mask` takes out are left out). Chats, Parquet
// and Arrow are refused, with the command that makes input_ids of them.
//
// A text file's ids (special tokens added once) are cut into windows that do not overlap, and the
// rest is dropped; several text files are each cut by themselves. The documents of a .jsonl or
// .json file: packed, their ids (special tokens for each) are put one after another and cut like
// one text; document, each gives the first seq_len ids as one window, and shorter ones are passed
// over.
//
// Thread-safety: plain functions. Cost: a .jsonl is read line by line; a text or .json file is held
// in memory once, and its ids besides; with seed 0 reading stops when there are enough windows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/calibration/token_windows.h"
#include "model/config.h"
#include "model/tokenizer/tokenizer.h"
#include "quant/base/status.h"

namespace rotor {

enum class CalibrationMode { kPacked, kDocument };

struct TextSource {
  std::vector<std::string> files;
  CalibrationMode mode = CalibrationMode::kPacked;
  int64_t sequences = 128;  // windows; for evaluation at most so many, 0: all
  int64_t seq_len = 2048;   // tokens a window
  uint64_t seed = 0;        // see choose_windows; evaluation takes the first windows always
};

/// Exactly source.sequences windows. `tokenizer` may be null where all files hold input_ids.
///
/// Errors, each INVALID_ARGUMENT (NOT_FOUND and so on for a file that cannot be opened) and with
/// detail "file", most with "line": BAD_CALIBRATION_DATA for broken JSON, wrong types, invalid
/// UTF-8, ids outside [0, config.vocab_size), an empty file; TOO_FEW_TOKENS with the number of
/// windows that there are; BAD_CALIBRATION_OPTIONS for seq_len below 2 or above
/// config.longest_sequence(), sequences below 1, no files; NEEDS_TOKENIZER.
Result<TokenWindows> read_calibration_windows(const TextSource& source, const Tokenizer* tokenizer,
                                              const ModelConfig& config);

/// Up to source.sequences windows in file order. Errors as above; TOO_FEW_TOKENS where there is not
/// one window.
Result<TokenWindows> read_evaluation_windows(const TextSource& source, const Tokenizer* tokenizer,
                                             const ModelConfig& config);

}  // namespace rotor
