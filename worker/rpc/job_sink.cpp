#include "worker/rpc/job_sink.h"

#include <chrono>
#include <map>
#include <thread>
#include <utility>

#include "proto/errors.h"
#include "proto/transport/busy.h"
#include "quant/base/sha256.h"
#include "worker/rpc/reports.h"

namespace rotor::worker {

namespace {

constexpr std::chrono::seconds kPassingInterval{2};

}  // namespace

JobSink::JobSink(std::shared_ptr<grpc::Channel> channel, AttachClient* client, std::string job,
                 int64_t fence, std::string session, std::function<bool()> draining)
    : channel_(channel),
      client_(client),
      job_(job),
      fence_(fence),
      session_(session),
      draining_(std::move(draining)),
      uploader_(std::move(channel), std::move(job), fence, std::move(session)) {}

Status JobSink::check(bool at_boundary) {
  if (at_boundary && draining_()) {
    return cancelled("the worker was asked to stop").with_reason(kReasonDraining);
  }
  if (client_ == nullptr) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(client_->lease_status());
  return at_boundary && client_->to_finish()
             ? cancelled("the job was paused").with_reason(kReasonPaused)
             : Status();
}

Status JobSink::passing(int layer, int until_layer) {
  const auto now = std::chrono::steady_clock::now();
  if (told_passing_ && now - *told_passing_ < kPassingInterval) {
    return {};
  }
  told_passing_ = now;
  v1::WorkerMessage message;
  v1::Forward* forward = message.mutable_forward();
  forward->set_job(job_);
  forward->set_fence(fence_);
  forward->set_layer(layer);
  forward->set_until_layer(until_layer);
  return client_->send(message);
}

Status JobSink::stage_done(int layer, int stage, int stages,
                           const std::vector<ModuleResult>& modules) {
  v1::WorkerMessage message;
  v1::Progress* progress = message.mutable_progress();
  progress->set_job(job_);
  progress->set_fence(fence_);
  progress->set_layer(layer);
  progress->set_stage(stage);
  progress->set_stages(stages);
  for (const ModuleResult& module : modules) {
    *progress->add_modules() = to_report(module);
  }
  return client_->send(message);
}

Status JobSink::put(int layer, PendingTensors tensors) {
  return uploader_.put(layer, std::move(tensors));
}

Status JobSink::finish(int layer) {
  return uploader_.finish(layer);
}

Result<std::vector<UploadedTensor>> JobSink::flush(int layer) {
  return uploader_.flush(layer);
}

Status JobSink::commit(const LayerResult& result, const std::vector<UploadedTensor>& tensors) {
  v1::WorkerMessage message;
  v1::CommitLayer* commit = message.mutable_commit();
  commit->set_job(job_);
  commit->set_fence(fence_);
  commit->set_layer(result.layer);
  for (const UploadedTensor& tensor : tensors) {
    v1::TensorInfo* info = commit->add_tensors();
    info->set_name(tensor.spec.name);
    info->set_dtype(std::string(dtype_name(tensor.spec.dtype)));
    info->mutable_shape()->Add(tensor.spec.shape.begin(), tensor.spec.shape.end());
    info->set_sha256(tensor.sha256);
  }
  *commit->mutable_report() = to_report(result);
  ROTOR_RETURN_IF_ERROR(client_->send(message));
  return client_->wait_accepted(result.layer);
}

Result<MemorySource> JobSink::fetch(int layer, const std::vector<TensorSpec>& expected) {
  const auto give_up = std::chrono::steady_clock::now() + kBusyTime;
  while (true) {
    Result<MemorySource> source = fetch_once(layer, expected);
    if (source.ok() || !is_busy(source.status()) || draining_() ||
        std::chrono::steady_clock::now() >= give_up) {
      return source;
    }
    std::this_thread::sleep_for(kBusyPause);
  }
}

Result<MemorySource> JobSink::fetch_once(int layer, const std::vector<TensorSpec>& expected) {
  std::map<std::string, const TensorSpec*> specs;
  for (const TensorSpec& spec : expected) {
    specs[spec.name] = &spec;
  }
  v1::FetchLayerRequest request;
  request.set_job(job_);
  request.set_fence(fence_);
  request.set_layer(layer);
  request.set_session(session_);
  grpc::ClientContext context;
  const auto stub = v1::Workers::NewStub(channel_);
  const auto call = stub->FetchLayer(&context, request);

  MemorySource source;
  StoredTensor tensor;
  Sha256 digest;
  const auto receive = [&](const v1::FetchLayerResponse& part) -> Status {
    if (part.has_tensor()) {
      const auto spec = specs.find(part.tensor().name());
      if (spec == specs.end()) {
        return data_loss("layer " + std::to_string(layer) + " holds tensor " +
                         part.tensor().name() + ", which the plan does not know");
      }
      tensor = {*spec->second, {}};
      tensor.bytes.reserve(static_cast<size_t>(tensor.spec.byte_size()));
    } else if (part.has_end()) {
      const auto size = static_cast<size_t>(tensor.spec.byte_size());
      if (tensor.bytes.size() != size || digest.hex() != part.end().sha256()) {
        return data_loss("tensor " + tensor.spec.name + " of committed layer " +
                         std::to_string(layer) + " did not arrive whole");
      }
      specs.erase(tensor.spec.name);
      source.add(std::move(tensor));
    } else {
      digest.update(part.chunk());
      tensor.bytes.insert(tensor.bytes.end(), part.chunk().begin(), part.chunk().end());
    }
    return {};
  };
  v1::FetchLayerResponse part;
  while (call->Read(&part)) {
    if (Status status = receive(part); !status.ok()) {
      context.TryCancel();
      call->Finish();
      return status;
    }
  }
  ROTOR_RETURN_IF_ERROR(from_grpc(call->Finish()));
  if (!specs.empty()) {
    return data_loss("committed layer " + std::to_string(layer) + " lacks tensor " +
                     specs.begin()->first);
  }
  return source;
}

}  // namespace rotor::worker
