#include "model/tied_head.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

namespace rotor {
namespace {

constexpr int64_t kPiece = int64_t{1} << 20;

Status untied(const std::string& head, const std::string& embedding) {
  return invalid_argument("config.json has tie_word_embeddings, and the checkpoint's " + head +
                          " is not its " + embedding +
                          ": set tie_word_embeddings to false to keep the head that is stored, "
                          "or remove that tensor to take the embedding for it")
      .with_reason("UNTIED_HEAD")
      .with_detail("tensor", head);
}

}  // namespace

Status check_tied_head(const Architecture& architecture, const TensorSource& weights) {
  const std::string head = architecture.head + ".weight";
  const TensorSpec* stored = weights.find(head);
  const TensorSpec* embedding = weights.find(architecture.embedding);
  if (architecture.head_weight != architecture.embedding || stored == nullptr ||
      embedding == nullptr) {
    return {};
  }
  if (stored->dtype != embedding->dtype || stored->shape != embedding->shape) {
    return untied(head, embedding->name);
  }
  std::vector<char> ours(static_cast<size_t>(kPiece));
  std::vector<char> theirs(static_cast<size_t>(kPiece));
  const int64_t size = stored->byte_size();
  for (int64_t offset = 0; offset < size; offset += kPiece) {
    const auto n = static_cast<size_t>(std::min(kPiece, size - offset));
    ROTOR_RETURN_IF_ERROR(weights.read(head, offset, ours.data(), n));
    ROTOR_RETURN_IF_ERROR(weights.read(embedding->name, offset, theirs.data(), n));
    if (std::memcmp(ours.data(), theirs.data(), n) != 0) {
      return untied(head, embedding->name);
    }
  }
  return {};
}

}  // namespace rotor
