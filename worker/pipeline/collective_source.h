// A model's weights read once a group instead of once a rank: each rank preads its share of every
// tensor, a run of rows, uploads it, and the group gathers the shares on its backend. The next
// layer's shares are read ahead, into host memory that the backend moves fast, while the current
// layer is worked on.
//
// Collective: every rank asks for the same tensors in the same order.
// Owns: host memory for the largest share of a layer, kept from layer to layer, and one thread.
// Thread-safety: the rank's main thread; the read-ahead thread touches only that memory.
// Errors: those of the checkpoint reader (a shard that changed, row 23 of faults.md) and of the
// backend, agreed over the group.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "quant/checkpoint/tensor_spec.h"
#include "worker/comm/communicator.h"
#include "worker/model/layer_weights.h"
#include "worker/model/tensor_loader.h"

namespace rotor::worker {

class CollectiveSource final : public WeightSource {
 public:
  /// Both must outlive this. `weights` is read from several threads.
  CollectiveSource(const TensorSource& weights, Communicator& comm)
      : weights_(weights), comm_(comm), loader_(weights) {}
  ~CollectiveSource() override;

  Result<Shape> shape(const std::string& name) override;
  Result<Tensor> load(Backend& backend, const std::string& name, const Shape& shape) override;

  /// Begins to read this rank's share of whole tensors; those of the last call are dropped. Errors
  /// show when a tensor of them is loaded.
  void read_ahead(Backend& backend, const std::vector<std::string>& names);

 private:
  /// The first row of each rank's share, and the end.
  std::vector<int64_t> shares(int64_t rows) const;
  Status upload_share(Backend& backend, const std::string& name, int64_t row_begin,
                      const Tensor& rows);
  void join();

  const TensorSource& weights_;
  Communicator& comm_;
  TensorLoader loader_;
  std::shared_ptr<Buffer> arena_;
  std::map<std::string, size_t> ahead_;  // places in the arena
  std::thread thread_;
  Status ahead_status_;  // written by thread_ until it is joined
};

}  // namespace rotor::worker
