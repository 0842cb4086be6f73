#include "worker/pipeline/shard_runner.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "worker/model/dequantized_weight.h"
#include "worker/pipeline/manifest.h"

namespace rotor::worker {
namespace {

std::vector<TensorSpec> committed_specs(const CheckpointLayout& layout, const ModelPlan& plan,
                                        const LayerPlan& layer) {
  std::vector<TensorSpec> specs;
  for (const StagePlan& stage : layer.stages) {
    for (const ModulePlan& module : stage.modules) {
      if (module.quantized) {
        const QuantizedModule stored{module.linear.name, module.linear.out_features,
                                     module.linear.in_features, module.rotation};
        for (TensorSpec& spec :
             layout.tensor_specs(stored, plan.options.scheme, plan.options.activations)) {
          specs.push_back(std::move(spec));
        }
      }
    }
  }
  return specs;
}

}  // namespace

ShardRunner::ShardRunner(Backend& backend, Communicator& comm, const ModelFiles& model,
                         const ModelPlan& plan, LayerSink& sink, ShardTask task)
    : backend_(backend),
      comm_(comm),
      model_(model),
      plan_(plan),
      sink_(sink),
      task_(std::move(task)),
      stored_(*model.weights, comm),
      source_(stored_, plan.merge) {}

bool ShardRunner::is_committed(int layer) const {
  return std::binary_search(task_.committed.begin(), task_.committed.end(), layer);
}

bool ShardRunner::needs_output(int layer) const {
  if (task_.evaluation.has_value()) {
    return true;
  }
  for (int next = layer + 1; next < task_.end_layer; ++next) {
    if (!is_committed(next)) {
      return true;
    }
  }
  return false;
}

Result<std::optional<EvalResult>> ShardRunner::run() {
  ROTOR_RETURN_IF_ERROR(prepare());
  for (int index = 0; index < task_.end_layer; ++index) {
    const LayerPlan& layer = plan_.layers[static_cast<size_t>(index)];
    const bool open = index >= task_.first_layer && !is_committed(index);
    const Status go = comm_.agree(sink_.check(true));
    if (!open || !go.ok()) {
      ROTOR_RETURN_IF_ERROR(settle());
      ROTOR_RETURN_IF_ERROR(go);
    }
    if (open) {
      if (const Status done = quantize_layer(layer); !done.ok()) {
        (void)settle();  // what is finished need not be lost with what failed
        return done;
      }
    } else if (needs_output(index)) {
      ROTOR_RETURN_IF_ERROR(pass_layer(layer, is_committed(index)));
    }
  }
  ROTOR_RETURN_IF_ERROR(settle());
  if (!task_.evaluation.has_value()) {
    return std::optional<EvalResult>();
  }
  ROTOR_ASSIGN_OR_RETURN(EvalResult result, evaluate());
  return std::optional<EvalResult>(result);
}

Status ShardRunner::prepare() {
  layout_ = &find_layout(plan_.options.layout);
  const Architecture& architecture = plan_.architecture;
  cut_ = {task_.calibration.sequences(), task_.calibration.seq_len,
          plan_.options.micro_batch_sequences, plan_.options.lanes};
  int64_t longest = task_.calibration.seq_len;
  if (task_.evaluation.has_value()) {
    const TokenWindows& windows = *task_.evaluation;
    evaluation_cut_ = {windows.sequences(), windows.seq_len,
                       eval_batch_sequences(windows.sequences(), windows.seq_len), 1};
    evaluation_cut_.lanes = std::max<int64_t>(evaluation_cut_.batches(), 1);
    longest = std::max(longest, windows.seq_len);
  }
  Result<Decoder> decoder = Decoder::create(backend_, architecture.config, longest);
  ROTOR_RETURN_IF_ERROR(comm_.agree(decoder.status()));
  decoder_.emplace(std::move(decoder).value());

  plan_rank_memory();
  const PhaseScope phase(load_times_, "load");
  EndWeights ends;
  ROTOR_ASSIGN_OR_RETURN(
      ends.embedding, load_tensor(backend_, source_, architecture.embedding,
                                  architecture.config.vocab_size, architecture.config.hidden_size));
  read_ahead(0);
  const auto embed = [&](const TokenWindows& windows, const BatchCut& cut,
                         std::vector<MicroBatch>* batches) -> Status {
    ROTOR_ASSIGN_OR_RETURN(*batches,
                           embed_batches(backend_, *decoder_, ends, windows, cut,
                                         cut.of_rank(comm_.size(), comm_.rank()), memory_.spill));
    return {};
  };
  Status mine = embed(task_.calibration, cut_, &batches_);
  if (mine.ok() && task_.evaluation.has_value()) {
    mine = embed(*task_.evaluation, evaluation_cut_, &evaluation_batches_);
  }
  return comm_.agree(mine);
}

void ShardRunner::plan_rank_memory() {
  MemoryNeeds needs;
  needs.cut = cut_;
  needs.ranks = comm_.size();
  needs.rank_tokens = cut_.tokens_of_rank(comm_.size(), comm_.rank());
  if (task_.evaluation.has_value()) {
    needs.rank_tokens += evaluation_cut_.tokens_of_rank(comm_.size(), comm_.rank());
  }
  needs.activation_bytes = dtype_size(backend_.activation_dtype());
  needs.host_is_apart = backend_.host_is_apart();
  memory_ = plan_memory(plan_, needs, backend_.memory_left());
  const bool all_kept = memory_.kept_carry == MemoryPlan().kept_carry && !memory_.spill;
  spdlog::log(all_kept ? spdlog::level::debug : spdlog::level::info, "memory: {}", memory_.text());
}

void ShardRunner::read_ahead(int index) {
  std::vector<std::string> names;
  if (index < task_.end_layer && !is_committed(index)) {
    for (const Stage& stage : plan_.architecture.layers[static_cast<size_t>(index)].stages) {
      for (const Norm* norm : norms_of(stage)) {
        names.push_back(norm->weight);
      }
      if (!stage.router.empty()) {
        names.push_back(stage.router + ".weight");
      }
      for (const Linear& gate : stage.gates) {
        names.push_back(gate.name + ".weight");
      }
      for (const Linear& linear : stage.linears) {
        names.push_back(linear.name + ".weight");
      }
    }
  }
  stored_.read_ahead(backend_, names);
}

Status ShardRunner::forward(const LayerPlan& layer, const LayerWeights& weights,
                            std::vector<MicroBatch>& batches) {
  const Layer& shape = plan_.architecture.layers[static_cast<size_t>(layer.index)];
  StageForward stages(backend_, *decoder_, shape, memory_);
  for (MicroBatch& batch : batches) {
    ROTOR_RETURN_IF_ERROR(stages.forward(weights, batch));
  }
  return {};
}

int ShardRunner::next_open_layer(int layer) const {
  while (layer < task_.end_layer && (layer < task_.first_layer || is_committed(layer))) {
    ++layer;
  }
  return layer;
}

Status ShardRunner::pass_layer(const LayerPlan& layer, bool committed) {
  const PhaseScope phase(load_times_, "replay");
  if (comm_.rank() == 0) {
    // A stream that broke is found at the next boundary.
    (void)sink_.passing(layer.index, next_open_layer(layer.index));
  }
  const Layer& shape = plan_.architecture.layers[static_cast<size_t>(layer.index)];
  const bool quantized = committed && plan_.options.propagate == Propagate::kQuantized;
  Result<LayerWeights> weights =
      quantized ? committed_weights(layer) : load_layer(backend_, source_, shape);
  ROTOR_RETURN_IF_ERROR(weights.status());
  read_ahead(layer.index + 1);
  Status mine = forward(layer, *weights, batches_);
  if (mine.ok()) {
    mine = forward(layer, *weights, evaluation_batches_);
  }
  return comm_.agree(mine);
}

Result<MemorySource> ShardRunner::fetch(const LayerPlan& layer) {
  const std::vector<TensorSpec> specs = committed_specs(*layout_, plan_, layer);
  MemorySource source;
  Status mine;
  if (comm_.rank() == 0) {
    Result<MemorySource> fetched = sink_.fetch(layer.index, specs);
    mine = fetched.status();
    if (fetched.ok()) {
      source = std::move(fetched).value();
    }
  }
  ROTOR_RETURN_IF_ERROR(comm_.agree(mine));
  if (comm_.size() == 1) {
    return source;
  }
  for (const TensorSpec& spec : specs) {
    StoredTensor tensor{spec, std::vector<uint8_t>(static_cast<size_t>(spec.byte_size()))};
    if (comm_.rank() == 0) {
      ROTOR_RETURN_IF_ERROR(source.read(spec.name, 0, tensor.bytes.data(), tensor.bytes.size()));
    }
    ROTOR_RETURN_IF_ERROR(comm_.broadcast_host(tensor.bytes.data(), tensor.bytes.size(), 0));
    if (comm_.rank() != 0) {
      source.add(std::move(tensor));
    }
  }
  return source;
}

Result<LayerWeights> ShardRunner::committed_weights(const LayerPlan& layer) {
  ROTOR_ASSIGN_OR_RETURN(const MemorySource source, fetch(layer));
  LayerWeights weights;
  for (const StagePlan& stage : layer.stages) {
    ROTOR_ASSIGN_OR_RETURN(StageWeights loaded, load_stage_vectors(backend_, source_, stage.stage));
    for (size_t i = 0; i < stage.modules.size(); ++i) {
      const ModulePlan& module = stage.modules[i];
      LinearWeights& linear = loaded.linears[i];
      if (!module.quantized) {
        ROTOR_ASSIGN_OR_RETURN(linear.weight,
                               load_tensor(backend_, source_, module.linear.name + ".weight",
                                           module.linear.out_features, module.linear.in_features));
        continue;
      }
      ROTOR_ASSIGN_OR_RETURN(const QuantizedMatrix matrix,
                             layout_->decode(module.linear.name, plan_.options.scheme, source));
      ROTOR_ASSIGN_OR_RETURN(linear.weight, dequantized_weight(backend_, matrix));
      linear.transform = input_transform(plan_.options, module, matrix.input_global_scale);
    }
    weights.stages.push_back(std::move(loaded));
  }
  return weights;
}

Status ShardRunner::quantize_layer(const LayerPlan& layer) {
  const auto start = std::chrono::steady_clock::now();
  const Layer& shape = plan_.architecture.layers[static_cast<size_t>(layer.index)];
  LayerResult result;
  result.layer = layer.index;
  result.ranks = comm_.size();
  result.phases = std::exchange(load_times_, {});
  LayerWeights original;
  {
    const PhaseScope phase(result.phases, "load");
    ROTOR_ASSIGN_OR_RETURN(original, load_layer(backend_, source_, shape));
    read_ahead(layer.index + 1);
  }
  const LayerContext context{backend_, comm_, *decoder_, plan_,   *layout_,
                             sink_,    cut_,  batches_,  memory_, [this] { return settle(); }};
  ROTOR_ASSIGN_OR_RETURN(
      const LayerWeights weights,
      LayerQuantizer(context, layer, original).run(needs_output(layer.index), &result));
  if (!evaluation_batches_.empty() || task_.evaluation.has_value()) {
    const PhaseScope phase(result.phases, "evaluate");
    ROTOR_RETURN_IF_ERROR(comm_.agree(forward(layer, weights, evaluation_batches_)));
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  ROTOR_RETURN_IF_ERROR(comm_.agree(sink_.finish(layer.index)));
  uncommitted_ = std::move(result);
  return {};
}

Status ShardRunner::settle() {
  if (!uncommitted_.has_value()) {
    return {};
  }
  LayerResult result = std::move(*uncommitted_);
  uncommitted_.reset();
  std::string mine_text;
  Status mine;
  {
    const PhaseScope phase(result.phases, "wait");
    Result<std::vector<UploadedTensor>> mine_put = sink_.flush(result.layer);
    mine = mine_put.status();
    if (mine_put.ok()) {
      mine_text = serialize_manifest(*mine_put);
    }
  }
  ROTOR_RETURN_IF_ERROR(comm_.agree(mine));
  ROTOR_ASSIGN_OR_RETURN(const std::vector<std::string> texts, comm_.all_gather(mine_text));
  if (comm_.rank() == 0) {
    std::vector<UploadedTensor> tensors;
    for (const std::string& text : texts) {
      for (UploadedTensor& tensor : parse_manifest(text)) {
        tensors.push_back(std::move(tensor));
      }
    }
    mine = sink_.commit(result, tensors);
  }
  return comm_.agree(mine);
}

Result<EvalResult> ShardRunner::evaluate() {
  ROTOR_ASSIGN_OR_RETURN(const EndWeights ends, load_ends(backend_, source_, plan_.architecture));
  // One sum a micro-batch, added in their order whoever has them.
  std::string mine_text;
  Status mine;
  for (const MicroBatch& batch : evaluation_batches_) {
    Loss sum;
    const Result<std::vector<double>> losses =
        decoder_->losses(ends, batch.shape, batch_ids(*task_.evaluation, batch), batch.x);
    if (!losses.ok()) {
      mine = losses.status();
      break;
    }
    sum.add(*losses);
    mine_text.append(reinterpret_cast<const char*>(&sum), sizeof(sum));
  }
  ROTOR_RETURN_IF_ERROR(comm_.agree(mine));
  ROTOR_ASSIGN_OR_RETURN(const std::vector<std::string> texts, comm_.all_gather(mine_text));
  Loss total;
  for (const std::string& text : texts) {
    for (size_t at = 0; at + sizeof(Loss) <= text.size(); at += sizeof(Loss)) {
      Loss sum;
      std::memcpy(&sum, text.data() + at, sizeof(Loss));
      total.sum += sum.sum;
      total.tokens += sum.tokens;
    }
  }
  return finish_loss(total, task_.evaluation->sequences());
}

}  // namespace rotor::worker
