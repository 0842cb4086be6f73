// The documents of a .jsonl or .json file, checked.
//
// Thread-safety: a plain function. Cost: .jsonl one line at a time, .json the whole file.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "quant/base/status.h"
#include "quant/io/file.h"

namespace rotor {

/// Where a document stands: "FILE:LINE" or "FILE: element N", and the details of an error there.
struct DocumentPlace {
  std::string file;
  std::string name;    // "line" or "element"
  int64_t number = 0;  // lines from 1, elements from 0
  std::string text() const;
};

/// INVALID_ARGUMENT, reason BAD_CALIBRATION_DATA.
Status bad_document(const DocumentPlace& place, const std::string& message);

/// Either text or ids.
struct Document {
  DocumentPlace place;
  bool has_ids = false;
  std::string text;
  bool special_tokens = true;  // of text: `add_special_tokens`
  std::vector<int32_t> ids;
};

/// Ids whose `attention_mask` is 0 are padding, and left out. Hands out the documents of `path` in
/// order until the sink returns false. Errors: those of the sink and of reading;
/// BAD_CALIBRATION_DATA for broken JSON, wrong types, ids outside [0, vocab_size), an empty file,
/// chats, which are to be rendered first.
Status read_documents(FileSystem& fs, const std::string& path, int64_t vocab_size,
                      const std::function<Result<bool>(Document)>& sink);

}  // namespace rotor
