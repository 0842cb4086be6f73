#include "worker/model/decoder_scratch.h"

#include <algorithm>

namespace rotor::worker {

Result<Tensor> DecoderScratch::take(Backend& backend, Key slot, int64_t rows, int64_t cols) {
  auto entry = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& candidate) {
    return candidate.slot == slot && candidate.tensor.cols() == cols;
  });
  if (entry == entries_.end()) {
    entry = entries_.insert(entries_.end(), Entry{slot, Tensor()});
  }
  if (entry->tensor.rows() < rows || entry->tensor.empty()) {
    entry->tensor = Tensor();  // free it before a larger one is taken
    auto larger = backend.allocate(backend.activation_dtype(), rows, cols);
    if (!larger.ok()) {
      entries_.erase(entry);
      return larger.status();
    }
    entry->tensor = std::move(larger).value();
  }
  return entry->tensor.row_range(0, rows);
}

}  // namespace rotor::worker
