// What stages left for those behind them (model/carry.h), as tensors: a micro-batch's, or a part of
// it. A slot has one row a token, but for kProduct of a mixture, whose rows lie as routing says.
//
// Thread-safety: a value; copies share the tensors' memory.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "model/architecture.h"
#include "worker/backend/backend.h"

namespace rotor::worker {

class Carry {
 public:
  /// Of kProduct in a mixture: which rows are whose.
  Routing routing;

  bool empty() const { return parts_.empty(); }
  bool has(CarrySlot slot) const { return at(slot) != parts_.end(); }
  /// Empty where the slot is.
  Tensor find(CarrySlot slot) const {
    const auto part = at(slot);
    return part == parts_.end() ? Tensor() : part->second;
  }
  /// Fills a slot, which may be full already.
  void put(CarrySlot slot, Tensor rows) {
    drop(slot);
    parts_.emplace_back(slot, std::move(rows));
  }
  void drop(CarrySlot slot) {
    std::erase_if(parts_, [&](const Part& part) { return part.first == slot; });
  }
  /// Behind a stage: what it took goes, what it left comes.
  void pass(const Stage& stage, const Carry& left) {
    for (const CarrySlot slot : stage.takes) {
      drop(slot);
    }
    for (const auto& [slot, rows] : left.parts_) {
      put(slot, rows);
    }
    routing = left.routing;
  }

 private:
  using Part = std::pair<CarrySlot, Tensor>;
  std::vector<Part>::const_iterator at(CarrySlot slot) const {
    return std::find_if(parts_.begin(), parts_.end(),
                        [&](const Part& part) { return part.first == slot; });
  }

  std::vector<Part> parts_;  // a handful
};

}  // namespace rotor::worker
