#include "model/tokenizer/merge_table.h"

#include <algorithm>
#include <bit>

namespace rotor {

MergeTable::MergeTable(size_t count)
    : slots_(std::bit_ceil(std::max(count, size_t{8}) * 2)),
      mask_(slots_.size() - 1),
      shift_(64 - std::countr_zero(slots_.size())),
      borders_((size_t{1} << kBorderBits) / 64) {}

void MergeTable::add(int32_t left, int32_t right, Merge merge, char32_t left_end,
                     char32_t right_begin) {
  const uint64_t key = key_of(left, right);
  size_t at = slot_of(key);
  while (slots_[at].key != kFree && slots_[at].key != key) {
    at = (at + 1) & mask_;
  }
  slots_[at] = {key, merge};
  const uint64_t bit = border_of(left_end, right_begin);
  borders_[bit / 64] |= uint64_t{1} << (bit % 64);
}

}  // namespace rotor
