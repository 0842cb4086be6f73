// Writes a model directory of random weights in a real model's sizes, so that whole jobs can be
// timed where the real model is not: shards, index, config.json, and a tokenizer of single bytes.
//
// Thread-safety: plain function. Cost: the disk's time; memory a few chunks of 64 MiB.
#pragma once

#include <cstdint>
#include <string>

#include "quant/base/status.h"
#include "worker/bench/shapes.h"

namespace rotor::worker::bench {

struct CheckpointOptions {
  ModelShape shape{};
  int64_t layers = 0;  // 0: the shape's
  std::string directory;
  int64_t max_shard_bytes = 5'000'000'000;
  uint64_t seed = 0;
};

/// Bytes of all tensors. Weights are scaled so that activations keep their size over all layers.
/// Errors: ALREADY_EXISTS for a directory that is there, those of the file system.
Result<int64_t> make_checkpoint(const CheckpointOptions& options);

/// A tokenizer.json whose 256 tokens are the bytes, and which adds nothing to a text.
std::string byte_tokenizer_json();

}  // namespace rotor::worker::bench
