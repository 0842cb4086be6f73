#include "quant/checkpoint/stacked_modules.h"

#include <cstring>
#include <unordered_map>
#include <utility>

namespace rotor {

Status write_stacked(const StackedTensor& tensor, const PieceReader& read,
                     const StackWriter& write) {
  const int64_t experts = tensor.spec.shape[0];
  const int64_t outputs = tensor.spec.shape[1];
  const int64_t interleaved = tensor.interleaved;
  const int64_t row_bytes = tensor.spec.byte_size() / experts / outputs;
  std::vector<uint8_t> slice(static_cast<size_t>(outputs * row_bytes));
  for (int64_t expert = 0; expert < experts; ++expert) {
    for (int64_t linear = 0; linear < interleaved; ++linear) {
      const std::string& name = tensor.pieces[static_cast<size_t>(expert * interleaved + linear)];
      ROTOR_ASSIGN_OR_RETURN(const std::vector<uint8_t> piece, read(name));
      if (std::ssize(piece) * interleaved != std::ssize(slice)) {
        return internal_error(name + " has " + std::to_string(piece.size()) + " bytes, and " +
                              tensor.spec.name + " takes " +
                              std::to_string(slice.size() / static_cast<size_t>(interleaved)));
      }
      for (int64_t row = 0; row < outputs / interleaved; ++row) {
        std::memcpy(slice.data() + (row * interleaved + linear) * row_bytes,
                    piece.data() + row * row_bytes, static_cast<size_t>(row_bytes));
      }
    }
    ROTOR_RETURN_IF_ERROR(write(expert * std::ssize(slice), slice));
  }
  return {};
}

std::vector<TensorSpec> with_stacked(const std::vector<StackedTensor>& stacks,
                                     std::vector<TensorSpec> tensors) {
  std::unordered_map<std::string, size_t> stack_of;  // by the name of a piece
  for (size_t i = 0; i < stacks.size(); ++i) {
    for (const std::string& piece : stacks[i].pieces) {
      stack_of.emplace(piece, i);
    }
  }
  std::vector<bool> placed(stacks.size(), false);
  std::vector<TensorSpec> out;
  for (TensorSpec& tensor : tensors) {
    const auto at = stack_of.find(tensor.name);
    if (at == stack_of.end()) {
      out.push_back(std::move(tensor));
    } else if (!placed[at->second]) {
      placed[at->second] = true;
      out.push_back(stacks[at->second].spec);
    }
  }
  return out;
}

}  // namespace rotor
