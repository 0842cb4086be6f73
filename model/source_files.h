// The files of a model directory besides its weights: which a quantized checkpoint takes over, and
// which stay behind.
//
// Thread-safety: a plain function. Cost: the names and kinds of the files, folder by folder.
#pragma once

#include <string>
#include <vector>

#include "quant/base/status.h"
#include "quant/checkpoint/checkpoint_reader.h"
#include "quant/io/file.h"

namespace rotor {

/// Paths below the directory, sorted.
struct SourceFiles {
  /// To be copied unchanged: tokenizer, chat templates, code, whatever is not known to be weights;
  /// those in folders, too.
  std::vector<std::string> copied;
  /// Weights that are not quantized, in any library's format (.bin, .pth, .gguf, ...) or in a
  /// .safetensors file that is no shard: as large as the model, and loaders might take them.
  std::vector<std::string> left_behind;
};

/// Neither list has the model's own shards, index and config.json, hidden files and folders, links
/// to folders and what is no plain file. Errors: those of the file system.
Result<SourceFiles> list_source_files(FileSystem& fs, const CheckpointReader& checkpoint);

}  // namespace rotor
