// Streams a committed layer's tensors out of its staged file.
#pragma once

#include <functional>

#include "coordinator/jobs/core.h"

namespace rotor::coordinator {

/// Calls `send` with start, chunks and end of each tensor; false from it: the client is gone
/// (CANCELLED). The bytes are hashed on the way: DATA_LOSS, STAGED_LAYER_DAMAGED, where they are
/// not those that were committed; the receiver's last tensor then has no end.
Status send_layer(FileSystem& fs, int32_t layer_index, const CommittedLayer& layer,
                  const std::function<bool(const v1::FetchLayerResponse&)>& send);

}  // namespace rotor::coordinator
