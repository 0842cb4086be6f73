// The list of a layer's tensors on its way from the ranks that uploaded them to the first rank,
// which commits them.
//
// Format: a line a tensor, fields split by tabs: name, dtype, sha256, dimensions. Between ranks of
// one program alone; names come from the architecture, so they hold neither tab nor line end.
// Thread-safety: plain functions.
#pragma once

#include <string>
#include <vector>

#include "worker/pipeline/layer_sink.h"

namespace rotor::worker {

std::string serialize_manifest(const std::vector<UploadedTensor>& tensors);
std::vector<UploadedTensor> parse_manifest(const std::string& text);

}  // namespace rotor::worker
