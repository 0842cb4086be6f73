// The rules about the files of a written checkpoint: names of shards, the index's size, leftovers.
//
// Thread-safety: a free function.
#pragma once

#include <vector>

#include "quant/checkpoint/checkpoint_reader.h"
#include "quant/checkpoint/verify.h"

namespace rotor {

/// A shard name that does not count 1..n of n, an index whose total_size is not that of the
/// tensors, safetensors or temporary files that do not belong to the checkpoint.
void check_files(FileSystem& fs, const CheckpointReader& reader,
                 std::vector<VerifyProblem>& problems);

}  // namespace rotor
