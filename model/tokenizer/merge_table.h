// The merges of a BPE model: which two tokens make a third, and which come first.
//
// Design goals: one look-up touches one cache line nearly always (a text of no known word needs
// several a character); the question of whether any merge reaches over the border between two
// characters is answered without a look-up. Not goals: removing a merge.
//
// Thread-safety: const members from any thread.
// Cost: 32 to 64 bytes a merge, and 128 KiB.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace rotor {

class MergeTable {
 public:
  struct Merge {
    int32_t rank = 0;  // the lower comes first
    int32_t id = 0;    // of what it makes
  };

  /// Room for `count` merges, all at once before the first add.
  explicit MergeTable(size_t count);

  /// `left_end` and `right_begin`: the characters that come to stand next to each other. Of two
  /// equal merges the later counts.
  void add(int32_t left, int32_t right, Merge merge, char32_t left_end, char32_t right_begin);

  /// Null: these two make nothing.
  const Merge* find(int32_t left, int32_t right) const {
    const uint64_t key = key_of(left, right);
    for (size_t at = slot_of(key);; at = (at + 1) & mask_) {
      if (slots_[at].key == key) {
        return &slots_[at].merge;
      }
      if (slots_[at].key == kFree) {
        return nullptr;
      }
    }
  }

  /// False only if no merge makes a token of `left` at its end and `right` behind it, so that a
  /// text can be cut there. (A set of bits by hash: now and then true for nothing.)
  bool may_join(char32_t left, char32_t right) const {
    const uint64_t bit = border_of(left, right);
    return (borders_[bit / 64] >> (bit % 64) & 1) != 0;
  }

 private:
  static constexpr uint64_t kFree = ~uint64_t{0};  // no key: ids are not negative
  static constexpr int kBorderBits = 20;

  struct Slot {
    uint64_t key = kFree;
    Merge merge;
  };

  static uint64_t key_of(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }
  /// The upper bits of a product with 2^64 divided by the golden ratio (Knuth, TAOCP 6.4).
  static uint64_t mixed(uint64_t key) { return key * 0x9E3779B97F4A7C15U; }
  size_t slot_of(uint64_t key) const { return static_cast<size_t>(mixed(key) >> shift_); }
  static uint64_t border_of(char32_t left, char32_t right) {
    return mixed(uint64_t{left} << 21 | right) >> (64 - kBorderBits);
  }

  std::vector<Slot> slots_;  // open addressing; 2^n of them, at most half in use
  size_t mask_ = 0;
  int shift_ = 0;
  std::vector<uint64_t> borders_;
};

}  // namespace rotor
