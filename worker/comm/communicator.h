// The collectives of one worker group. A group's ranks call the same operations in the same order;
// what differs between them is only data.
//
// Tensors are those of the group's backend: host memory over MPI, device memory over NCCL for the
// CUDA backend (nccl_communicator.h); a group of one never touches them. Operations on tensors may
// be asynchronous, in order with the backend's own. Strings are always host memory. Thread-safety:
// one caller at a time, the rank's main thread. Errors: a rank that dies ends the gang (mpirun's
// doing). An error on one rank must not leave the others waiting in a collective: every rank passes
// its own status to agree() before the next one.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "quant/base/status.h"
#include "worker/backend/tensor.h"
#include "worker/comm/rank_table.h"

namespace rotor::worker {

/// A tensor on its way to or from another rank.
struct Transfer {
  Tensor tensor;
  int peer = 0;
};

class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// OK if every rank's status is OK; else the error of the lowest failing rank, on all ranks.
  virtual Status agree(const Status& mine) = 0;

  virtual Status broadcast(const Tensor& tensor, int root) = 0;
  /// Sends and receives everything at once. What one rank sends another arrives in the order of
  /// both lists, which must agree in sizes; nothing is sent to oneself.
  virtual Status exchange(const std::vector<Transfer>& sends,
                          const std::vector<Transfer>& receives) = 0;
  /// Row r of `tensor` is valid on the rank whose range [begin[i], begin[i+1]) holds it; afterwards
  /// every row is valid everywhere. begin has size() + 1 entries.
  virtual Status all_gather_rows(const Tensor& tensor, const std::vector<int64_t>& begin) = 0;

  /// `bytes` of host memory, the same number on every rank.
  virtual Status broadcast_host(void* data, size_t bytes, int root) = 0;
  /// A string of any length; the other ranks' strings take the root's.
  virtual Status broadcast(std::string* bytes, int root) = 0;
  /// Everybody's bytes, by rank, on every rank.
  virtual Result<std::vector<std::string>> all_gather(const std::string& mine) = 0;
  /// Largest value over the ranks, element by element; a NaN anywhere gives NaN.
  virtual Status all_reduce_max(std::vector<float>* values) = 0;

  /// As broadcast(bytes, root), for the time between jobs: waits without burning a core.
  virtual Status broadcast_idle(std::string* bytes, int root) = 0;

  /// By rank, what is known of them (rank_table.h); empty where nobody watches. From any thread.
  virtual std::vector<RankStatus> ranks() { return {}; }
};

}  // namespace rotor::worker
