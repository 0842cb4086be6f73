// The collectives of a group of one: for work that a rank does for itself with code that is written
// for a group.
//
// Thread-safety: no state; any thread.
#pragma once

#include "worker/comm/communicator.h"

namespace rotor::worker {

class SoloCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  Status agree(const Status& mine) override { return mine; }
  Status broadcast(const Tensor&, int) override { return {}; }
  Status exchange(const std::vector<Transfer>&, const std::vector<Transfer>&) override {
    return {};
  }
  Status all_gather_rows(const Tensor&, const std::vector<int64_t>&) override { return {}; }
  Status broadcast_host(void*, size_t, int) override { return {}; }
  Status broadcast(std::string*, int) override { return {}; }
  Result<std::vector<std::string>> all_gather(const std::string& mine) override {
    return std::vector<std::string>{mine};
  }
  Status all_reduce_max(std::vector<float>*) override { return {}; }
  Status broadcast_idle(std::string*, int) override { return {}; }
};

}  // namespace rotor::worker
