// A model's weights read once a group instead of once a rank: each rank preads its share of every
// tensor, a run of bytes, and the group passes the shares round. The next layer's shares are read
// ahead by a thread while the current layer is worked on.
//
// Collective: every rank asks for the same rows in the same order.
// Thread-safety: the rank's main thread; the read-ahead thread touches only its own buffers.
// Errors: those of the checkpoint reader (a shard that changed, row 23 of faults.md), agreed over
// the group.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "quant/checkpoint/checkpoint_reader.h"
#include "worker/comm/communicator.h"
#include "worker/model/layer_weights.h"

namespace rotor::worker {

class CollectiveSource final : public WeightSource {
 public:
  CollectiveSource(const CheckpointReader& reader, Communicator& comm)
      : reader_(reader), comm_(comm) {}
  ~CollectiveSource() override;

  Result<Shape> shape(const std::string& name) override;
  Status read_rows(const std::string& name, int64_t row_begin, int64_t row_count,
                   void* dst) override;

  /// Begins to read this rank's share of whole tensors; those of the last call that nobody asked
  /// for are dropped. Errors show when the tensor is read.
  void read_ahead(std::vector<std::string> names);

 private:
  struct Ahead {
    Status status;
    std::vector<char> bytes;
  };
  void join();

  const CheckpointReader& reader_;
  Communicator& comm_;
  std::thread thread_;
  std::map<std::string, Ahead> ahead_;  // written by thread_ until it is joined
};

}  // namespace rotor::worker
