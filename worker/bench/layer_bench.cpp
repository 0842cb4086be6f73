#include "worker/bench/layer_bench.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "model/config.h"
#include "quant/checkpoint/layout.h"
#include "worker/bench/digest_sink.h"
#include "worker/bench/memory_use.h"
#include "worker/bench/random_activations.h"
#include "worker/bench/random_model.h"
#include "worker/model/decoder.h"
#include "worker/pipeline/layer_quantizer.h"
#include "worker/pipeline/manifest.h"

namespace rotor::worker::bench {
namespace {

Result<ModelPlan> one_layer_plan(const LayerBenchOptions& options) {
  ROTOR_ASSIGN_OR_RETURN(const ModelConfig config, model_config(options.shape, 1));
  ROTOR_ASSIGN_OR_RETURN(const Architecture architecture, describe(config));
  return make_plan(architecture, options.quant);
}

class LayerBench {
 public:
  LayerBench(Backend& backend, Communicator& comm, const LayerBenchOptions& options,
             const ModelPlan& plan)
      : backend_(backend),
        comm_(comm),
        options_(options),
        plan_(plan),
        memory_(backend),
        parallel_(make_thread_pool(static_cast<int>(std::thread::hardware_concurrency()))),
        cut_{options.sequences, options.seq_len, options.quant.micro_batch_sequences,
             options.quant.lanes} {}

  Result<LayerBenchResult> run() {
    ROTOR_RETURN_IF_ERROR(comm_.agree(prepare()));
    for (int i = 0; i < options_.repeat; ++i) {
      LayerResult layer;
      ROTOR_RETURN_IF_ERROR(run_once(&layer));
      result_.runs.push_back(layer.seconds);
    }
    result_.waited.phases.wait_with([this] {
      (void)backend_.synchronize();  // the next operation tells what went wrong
      memory_.sample();
    });
    ROTOR_RETURN_IF_ERROR(run_once(&result_.waited));
    result_.waited.phases.wait_with({});
    result_.peak_bytes = memory_.peak();
    return std::move(result_);
  }

 private:
  Status prepare() {
    layout_ = &find_layout(plan_.options.layout);
    ROTOR_ASSIGN_OR_RETURN(result_.ceilings, measure_ceilings(backend_, *parallel_));
    const Architecture& architecture = plan_.architecture;
    ROTOR_ASSIGN_OR_RETURN(Decoder decoder,
                           Decoder::create(backend_, architecture.config, options_.seq_len));
    decoder_.emplace(std::move(decoder));
    RandomSource source(architecture, options_.seed, *parallel_);
    ROTOR_ASSIGN_OR_RETURN(weights_, load_layer(backend_, source, architecture.layers[0]));
    ROTOR_ASSIGN_OR_RETURN(
        RandomActivations activations,
        RandomActivations::create(backend_, *parallel_, architecture.config.hidden_size,
                                  options_.seed));
    activations_.emplace(std::move(activations));
    memory_plan_ = options_.memory.value_or(
        plan_memory(plan_,
                    {.cut = cut_,
                     .ranks = comm_.size(),
                     .rank_tokens = cut_.tokens_of_rank(comm_.size(), comm_.rank()),
                     .activation_bytes = dtype_size(backend_.activation_dtype()),
                     .host_is_apart = backend_.host_is_apart()},
                    backend_.memory_left()));
    result_.memory_plan = memory_plan_.text();
    return {};
  }

  Status run_once(LayerResult* layer) {
    using Clock = std::chrono::steady_clock;
    Result<std::vector<MicroBatch>> batches =
        activations_->make(cut_, cut_.of_rank(comm_.size(), comm_.rank()), memory_plan_.spill);
    ROTOR_RETURN_IF_ERROR(comm_.agree(batches.ok() ? backend_.synchronize() : batches.status()));
    const Clock::time_point start = Clock::now();
    {
      const LayerContext context{backend_, comm_, *decoder_, plan_,        *layout_,
                                 sink_,    cut_,  *batches,  memory_plan_, [] { return Status(); }};
      ROTOR_RETURN_IF_ERROR(
          LayerQuantizer(context, plan_.layers[0], weights_).run(true, layer).status());
    }
    ROTOR_RETURN_IF_ERROR(comm_.agree(backend_.synchronize()));
    layer->seconds = std::chrono::duration<double>(Clock::now() - start).count();
    layer->ranks = comm_.size();
    return check_bytes();
  }

  /// Digests of all ranks' tensors, which every run must give again.
  Status check_bytes() {
    ROTOR_ASSIGN_OR_RETURN(const std::vector<UploadedTensor> mine, sink_.flush(0));
    ROTOR_ASSIGN_OR_RETURN(const std::vector<std::string> texts,
                           comm_.all_gather(serialize_manifest(mine)));
    std::vector<UploadedTensor> all;
    int64_t bytes = 0;
    for (const std::string& text : texts) {
      for (UploadedTensor& tensor : parse_manifest(text)) {
        bytes += tensor.spec.byte_size();
        all.push_back(std::move(tensor));
      }
    }
    const std::string digest = digest_of(std::move(all));
    if (!result_.digest.empty() && digest != result_.digest) {
      return internal_error("two runs of the same layer gave different tensors: " + result_.digest +
                            " and " + digest)
          .with_reason("NOT_REPRODUCED");
    }
    result_.digest = digest;
    result_.uploaded_bytes = bytes;
    return {};
  }

  Backend& backend_;
  Communicator& comm_;
  const LayerBenchOptions& options_;
  const ModelPlan& plan_;
  MemoryUse memory_;
  const std::unique_ptr<Parallel> parallel_;
  const BatchCut cut_;
  const CheckpointLayout* layout_ = nullptr;
  std::optional<Decoder> decoder_;
  LayerWeights weights_;
  std::optional<RandomActivations> activations_;
  MemoryPlan memory_plan_;
  DigestSink sink_;
  LayerBenchResult result_;
};

}  // namespace

Result<LayerBenchResult> run_layer_bench(Backend& backend, Communicator& comm,
                                         const LayerBenchOptions& options) {
  ROTOR_ASSIGN_OR_RETURN(const ModelPlan plan, one_layer_plan(options));
  return LayerBench(backend, comm, options, plan).run();
}

}  // namespace rotor::worker::bench
