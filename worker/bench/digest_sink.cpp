#include "worker/bench/digest_sink.h"

#include <algorithm>
#include <string>
#include <utility>

#include "quant/base/sha256.h"

namespace rotor::worker::bench {

DigestSink::DigestSink() : thread_([this] { run(); }) {}

DigestSink::~DigestSink() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void DigestSink::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
    if (stop_) {
      return;
    }
    PendingTensors pending = std::move(waiting_.front());
    waiting_.pop_front();
    busy_ = true;
    lock.unlock();
    const Result<std::vector<StoredTensor>> made = pending.make();
    std::vector<UploadedTensor> digested;
    for (size_t i = 0; made.ok() && i < made->size(); ++i) {
      const StoredTensor& tensor = (*made)[i];
      Sha256 sha;
      sha.update(tensor.bytes.data(), tensor.bytes.size());
      digested.push_back({tensor.spec, sha.hex()});
    }
    lock.lock();
    std::move(digested.begin(), digested.end(), std::back_inserter(digested_));
    if (status_.ok()) {
      status_ = made.status();
    }
    busy_ = false;
    changed_.notify_all();
  }
}

Status DigestSink::passing(int /*layer*/, int /*until_layer*/) {
  return {};
}

Status DigestSink::check(bool /*at_boundary*/) {
  return {};
}

Status DigestSink::stage_done(int /*layer*/, int /*stage*/, int /*stages*/,
                              const std::vector<ModuleResult>& /*modules*/) {
  return {};
}

Status DigestSink::put(int /*layer*/, PendingTensors tensors) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(tensors));
  }
  changed_.notify_all();
  return {};
}

Status DigestSink::finish(int /*layer*/) {
  return {};
}

Result<std::vector<UploadedTensor>> DigestSink::flush(int /*layer*/) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return waiting_.empty() && !busy_; });
  ROTOR_RETURN_IF_ERROR(status_);
  return std::exchange(digested_, {});
}

Status DigestSink::commit(const LayerResult& /*result*/,
                          const std::vector<UploadedTensor>& /*tensors*/) {
  return {};
}

Result<MemorySource> DigestSink::fetch(int layer, const std::vector<TensorSpec>& /*expected*/) {
  return not_found("layer " + std::to_string(layer) + " was dropped when it was put");
}

std::string digest_of(std::vector<UploadedTensor> tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const UploadedTensor& a, const UploadedTensor& b) {
    return a.spec.name < b.spec.name;
  });
  Sha256 sha;
  for (const UploadedTensor& tensor : tensors) {
    sha.update(tensor.spec.name + " " + tensor.sha256 + "\n");
  }
  return sha.hex();
}

}  // namespace rotor::worker::bench
