#include "worker/rpc/uploader.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "proto/errors.h"
#include "proto/transport/busy.h"
#include "proto/transport/metadata.h"
#include "quant/base/sha256.h"
#include "worker/rpc/channel.h"

namespace rotor::worker {

Uploader::Uploader(std::shared_ptr<grpc::Channel> channel, std::string job, int64_t fence,
                   std::string session)
    : stub_(v1::Workers::NewStub(std::move(channel))),
      job_(std::move(job)),
      fence_(fence),
      session_(std::move(session)),
      thread_([this] { run(); }) {}

Uploader::~Uploader() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    if (context_ != nullptr) {
      context_->TryCancel();
    }
  }
  changed_.notify_all();
  thread_.join();
  if (call_ != nullptr) {
    call_->Finish();
  }
}

Status Uploader::put(int layer, PendingTensors tensors) {
  const size_t bytes = tensors.bytes;
  std::unique_lock lock(mutex_);
  // One module may be larger than the whole queue: it then goes alone.
  changed_.wait(lock, [&] {
    return !status_.ok() || queued_bytes_ == 0 || queued_bytes_ + bytes <= kQueueBytes;
  });
  ROTOR_RETURN_IF_ERROR(status_);
  queued_bytes_ += bytes;
  queue_.push_back({layer, false, std::move(tensors)});
  changed_.notify_all();
  return {};
}

Status Uploader::finish(int layer) {
  const std::lock_guard lock(mutex_);
  ROTOR_RETURN_IF_ERROR(status_);
  queue_.push_back({layer, true, {}});
  changed_.notify_all();
  return {};
}

Result<std::vector<UploadedTensor>> Uploader::flush(int layer) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return ended_.contains(layer) || !status_.ok(); });
  ROTOR_RETURN_IF_ERROR(status_);
  ended_.erase(layer);
  std::vector<UploadedTensor> uploaded = std::move(uploaded_[layer]);
  uploaded_.erase(layer);
  return uploaded;
}

void Uploader::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stop_ || !queue_.empty(); });
    if (stop_) {
      return;
    }
    Task task = std::move(queue_.front());
    queue_.pop_front();
    const size_t bytes = task.tensors.bytes;
    lock.unlock();
    Status status = perform(task);
    lock.lock();
    queued_bytes_ -= bytes;
    if (status_.ok()) {
      status_ = std::move(status);
    }
    if (task.end && status_.ok()) {
      ended_.insert(task.layer);
    }
    changed_.notify_all();
    if (!status_.ok()) {
      return;
    }
  }
}

Status Uploader::perform(Task& task) {
  if (task.end) {
    return end_call();
  }
  if (call_ == nullptr) {
    ROTOR_RETURN_IF_ERROR(begin_call(task.layer));
  }
  ROTOR_ASSIGN_OR_RETURN(const std::vector<StoredTensor> tensors, task.tensors.make());
  for (const StoredTensor& tensor : tensors) {
    ROTOR_RETURN_IF_ERROR(send_tensor(task.layer, tensor));
  }
  return {};
}

Status Uploader::begin_call(int layer) {
  const auto give_up = std::chrono::steady_clock::now() + kBusyTime;
  while (true) {
    Status refused = try_call(layer);
    if (refused.ok() || !is_busy(refused) || std::chrono::steady_clock::now() >= give_up) {
      return refused;
    }
    spdlog::warn("layer {} waits to be uploaded: {}", layer, refused.message());
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kBusyPause, [this] { return stop_; });
  }
}

Status Uploader::try_call(int layer) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_) {
      return cancelled("the upload was given up");
    }
    context_ = std::make_unique<grpc::ClientContext>();
  }
  response_.Clear();
  call_ = stub_->PutTensors(context_.get(), &response_);
  v1::PutTensorsRequest request;
  request.mutable_header()->set_job(job_);
  request.mutable_header()->set_fence(fence_);
  request.mutable_header()->set_session(session_);
  request.mutable_header()->set_layer(layer);
  call_->Write(request);
  call_->WaitForInitialMetadata();
  if (context_->GetServerInitialMetadata().count(kUploadOpenKey) > 0) {
    return {};
  }
  const Status refused = from_grpc(call_->Finish());
  call_.reset();
  return refused.ok() ? internal_error("the coordinator ended an upload before its end") : refused;
}

Status Uploader::end_call() {
  if (call_ == nullptr) {
    return {};  // this rank had nothing to put
  }
  call_->WritesDone();
  const Status status = from_grpc(call_->Finish());
  call_.reset();
  return status;
}

Status Uploader::send_tensor(int layer, const StoredTensor& tensor) {
  v1::PutTensorsRequest request;
  v1::TensorStart* start = request.mutable_tensor();
  start->set_name(tensor.spec.name);
  start->set_dtype(std::string(dtype_name(tensor.spec.dtype)));
  start->mutable_shape()->Add(tensor.spec.shape.begin(), tensor.spec.shape.end());
  bool sent = call_->Write(request);
  Sha256 digest;
  for (size_t at = 0; at < tensor.bytes.size() && sent; at += kUploadChunk) {
    const size_t n = std::min(kUploadChunk, tensor.bytes.size() - at);
    digest.update(tensor.bytes.data() + at, n);
    request.set_chunk(tensor.bytes.data() + at, n);
    sent = call_->Write(request);
  }
  UploadedTensor uploaded{tensor.spec, digest.hex()};
  request.mutable_end()->set_sha256(uploaded.sha256);
  sent = sent && call_->Write(request);
  if (!sent) {
    // The coordinator ended the call early: its status says why.
    const Status status = from_grpc(call_->Finish());
    call_.reset();
    return status.ok() ? internal_error("the coordinator ended an upload before its end") : status;
  }
  const std::lock_guard lock(mutex_);
  uploaded_[layer].push_back(std::move(uploaded));
  return {};
}

}  // namespace rotor::worker
