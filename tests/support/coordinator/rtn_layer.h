// The tensors of a layer by round-to-nearest, as the coordinator expects them from a worker.
#pragma once

#include <memory>
#include <vector>

#include "coordinator/jobs/prepared_job.h"
#include "rotor/v1/workers.pb.h"

namespace rotor::testing {

/// A layer of a job, ready to be sent.
struct RtnLayer {
  std::vector<StoredTensor> tensors;
  v1::CommitLayer commit;  // without job and fence
};

/// Opens lease.model_path and makes the plan of lease.spec.
class RtnQuantizer {
 public:
  explicit RtnQuantizer(const v1::Lease& lease);
  RtnLayer layer(int32_t index);

 private:
  ModelFiles model_;
  std::shared_ptr<const coordinator::PreparedJob> job_;
};

/// The messages of a PutTensors call for these tensors, in chunks of `chunk` bytes.
std::vector<v1::PutTensorsRequest> put_messages(const v1::Lease& lease, int32_t layer,
                                                const std::vector<StoredTensor>& tensors,
                                                size_t chunk = 10'000);

}  // namespace rotor::testing
