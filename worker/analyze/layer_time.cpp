#include "worker/analyze/layer_time.h"

#include <chrono>

#include "quant/checkpoint/layout.h"
#include "worker/comm/solo_communicator.h"

namespace rotor::worker {
namespace {

/// Makes the tensors, as uploads do, and lets go of them.
class DroppingSink final : public LayerSink {
 public:
  Status check(bool) override { return {}; }
  Status passing(int, int) override { return {}; }
  Status stage_done(int, int, int, const std::vector<ModuleResult>&) override { return {}; }
  Status put(int, PendingTensors tensors) override { return tensors.make().status(); }
  Status finish(int) override { return {}; }
  Result<std::vector<UploadedTensor>> flush(int) override { return std::vector<UploadedTensor>(); }
  Status commit(const LayerResult&, const std::vector<UploadedTensor>&) override { return {}; }
  Result<MemorySource> fetch(int, const std::vector<TensorSpec>&) override {
    return MemorySource();
  }
};

}  // namespace

Result<LayerTime> time_layer(Backend& backend, Decoder& decoder, const ModelPlan& plan,
                             const BatchCut& cut, std::vector<MicroBatch> batches,
                             const LayerWeights& weights, int layer) {
  SoloCommunicator solo;
  DroppingSink sink;
  const MemoryPlan memory = plan_memory(plan,
                                        {.cut = cut,
                                         .ranks = 1,
                                         .rank_tokens = cut.tokens(),
                                         .activation_bytes = dtype_size(backend.activation_dtype()),
                                         .host_is_apart = backend.host_is_apart()},
                                        backend.memory_left());
  LayerResult result;
  // Else a phase of an asynchronous device would end when it was asked for.
  result.phases.wait_with([&] { (void)backend.synchronize(); });
  const LayerContext context{backend, solo, decoder, plan,   find_layout(plan.options.layout),
                             sink,    cut,  batches, memory, [] { return Status(); }};
  ROTOR_RETURN_IF_ERROR(backend.synchronize());
  const auto start = std::chrono::steady_clock::now();
  ROTOR_RETURN_IF_ERROR(LayerQuantizer(context, plan.layers[static_cast<size_t>(layer)], weights)
                            .run(/*needs_output=*/true, &result)
                            .status());
  ROTOR_RETURN_IF_ERROR(backend.synchronize());
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  LayerTime time{layer, cut.tokens(), 0.0, 0.0};
  for (const auto& [name, phase] : result.phases) {
    time.by_token_seconds += name == "forward" || name == "hessian" ? phase.seconds : 0.0;
  }
  time.fixed_seconds = std::max(seconds.count() - time.by_token_seconds, 0.0);
  return time;
}

}  // namespace rotor::worker
