// The weights of a merged model (model/merge_plan.h), made from those of another source as they are
// loaded: read, widened to F64, merged on the host, and given to the backend: what is to be
// quantized in F32, the rest in its own dtype, as the checkpoint will have it. A tensor that
// merging leaves alone passes through.
//
// Collective where the other source is: every rank asks it for the same tensors in the same order,
// and merges the whole for itself. Thread-safety: the rank's main thread. Fails: as the other
// source. Cost: a merged tensor in F64 on the host, 12 bytes an element at its peak.
#pragma once

#include <string>
#include <vector>

#include "model/merge_plan.h"
#include "quant/base/parallel.h"
#include "worker/model/layer_weights.h"

namespace rotor::worker {

class MergedSource final : public WeightSource {
 public:
  /// Both must outlive this.
  MergedSource(WeightSource& source, const MergePlan& plan) : source_(source), plan_(plan) {}

  Result<Shape> shape(const std::string& name) override;
  Result<Tensor> load(Backend& backend, const std::string& name, const Shape& shape) override;

 private:
  /// A tensor of the other source on the host.
  Result<std::vector<double>> fetch(Backend& backend, const std::string& name);

  WeightSource& source_;
  const MergePlan& plan_;
  SerialParallel serial_;
};

}  // namespace rotor::worker
