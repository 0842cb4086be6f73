// How far each rank of this host has come in the group's sequence of collectives, in memory that
// the ranks share: when a collective hangs, the board tells which rank is missing. Ranks on other
// hosts cannot be seen; their own boards tell.
//
// Owns: the mapping of one shared memory object. Thread-safety: enter() from one thread, behind()
// from any. Cost: a store a collective.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "quant/base/status.h"

namespace rotor::worker {

class ProgressBoard {
 public:
  /// Every rank of a group calls it with the same name, one that no other group has. Errors: those
  /// of shm_open.
  static Result<std::unique_ptr<ProgressBoard>> create(const std::string& name, int rank, int size);
  ~ProgressBoard();
  ProgressBoard(const ProgressBoard&) = delete;
  ProgressBoard& operator=(const ProgressBoard&) = delete;

  /// Takes the name away, once every rank has its board: nothing is then left behind, however the
  /// process ends.
  void remove_name() const;

  /// This rank begins its collective `number`; they count from 1.
  void enter(uint64_t number);
  /// The ranks of this host that have not begun collective `number`.
  std::vector<int> behind(uint64_t number) const;

 private:
  // 0: a rank of another host; else one more than the last collective that it began.
  using Slot = std::atomic<uint64_t>;
  static_assert(Slot::is_always_lock_free, "slots are shared between processes");

  ProgressBoard(std::string name, Slot* slots, int rank, int size)
      : name_(std::move(name)), slots_(slots), rank_(rank), size_(size) {}

  std::string name_;
  Slot* slots_;
  int rank_;
  int size_;
};

}  // namespace rotor::worker
