// From text to the token ids that a model was trained on: tokenizer.json of a model directory, with
// the result that the Hugging Face tokenizers library gives for it.
//
// Design goals: the same ids, to the last one; a component that is not supported is refused by its
// name when the file is opened, never passed over; a text is read from left to right and no further
// than the caller needs, so that a large file costs little more than its own size.
// Not goals: decoding; offsets; pairs of texts; training. Truncation and padding settings in the
// file are not applied: they belong to whoever builds batches.
//
// Supported: BPE models of bytes (GPT-2's way) and of characters (SentencePiece's way, with byte
// fallback or an unknown token); what may come before is listed in normalizer.h and
// pre_tokenizer.h, what may come after in post_processor.h.
//
// Thread-safety: encode may be called from any number of threads.
// Cost: some MB of text a second and thread; tens of MB of memory for a vocabulary of 128 k.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "quant/base/status.h"

namespace rotor {

class Tokenizer {
 public:
  static constexpr int64_t kAllIds = std::numeric_limits<int64_t>::max();

  virtual ~Tokenizer() = default;

  /// One more than the largest token id, added tokens included.
  virtual int64_t vocab_size() const = 0;

  /// The ids of `text` (UTF-8), and where `special_tokens` is set those that the post-processor
  /// puts around it.
  /// Stops early once there are `max_ids` ids or more: the first max_ids are then those of the
  /// whole text, and what follows them is unspecified.
  ///
  /// Errors: INVALID_ARGUMENT, reason INVALID_UTF8, detail "offset" (bytes from the start of text);
  /// UNTOKENIZABLE_TEXT for a character that has no token where the file names no unknown token;
  /// RESOURCE_EXHAUSTED where a regular expression of the file takes too long on this text.
  virtual Result<std::vector<int32_t>> encode(std::string_view text, int64_t max_ids = kAllIds,
                                              bool special_tokens = true) const = 0;
};

/// Opens a tokenizer.json. Errors: NOT_FOUND, INVALID_ARGUMENT (BAD_TOKENIZER: names the file and
/// the key), UNIMPLEMENTED (UNSUPPORTED_TOKENIZER: names the component; in a build without ICU,
/// any).
Result<std::unique_ptr<Tokenizer>> open_tokenizer(const std::string& path);
/// The same for the text of a file, which errors name `path`.
Result<std::unique_ptr<Tokenizer>> parse_tokenizer(std::string_view text, const std::string& path);

}  // namespace rotor
