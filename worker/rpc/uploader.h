// Sends a rank's tensors to the coordinator while the rank goes on computing.
//
// Owns one thread and a queue that holds at most kQueueBytes; put() waits while it is full. One
// PutTensors call a layer. Thread-safety: put, finish and flush from one thread.
// Errors: the first one is kept and returned by every later call; the layer is then lost to this
// lease, and nothing is sent twice.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "quant/base/status.h"
#include "rotor/v1/workers.grpc.pb.h"
#include "worker/pipeline/layer_sink.h"

namespace rotor::worker {

class Uploader {
 public:
  static constexpr size_t kQueueBytes = size_t{1} << 29;

  Uploader(std::shared_ptr<grpc::Channel> channel, std::string job, int64_t fence,
           std::string session);
  /// Cancels what is under way.
  ~Uploader();
  Uploader(const Uploader&) = delete;
  Uploader& operator=(const Uploader&) = delete;

  Status put(int layer, PendingTensors tensors);
  /// Ends the layer's call, behind all that was put.
  Status finish(int layer);
  /// Waits for the coordinator's word that it has everything of a finished layer; once.
  Result<std::vector<UploadedTensor>> flush(int layer);

 private:
  struct Task {
    int layer = 0;
    bool end = false;  // of the layer
    PendingTensors tensors;
  };
  using Call = grpc::ClientWriter<v1::PutTensorsRequest>;

  void run();
  Status perform(Task& task);
  /// Waits while the coordinator has too many other calls.
  Status begin_call(int layer);
  Status try_call(int layer);
  Status end_call();
  Status send_tensor(int layer, const StoredTensor& tensor);

  std::unique_ptr<v1::Workers::Stub> stub_;
  const std::string job_;
  const int64_t fence_;
  const std::string session_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> queue_;
  size_t queued_bytes_ = 0;
  bool stop_ = false;
  Status status_;
  std::map<int, std::vector<UploadedTensor>> uploaded_;  // by layer, until it is flushed
  std::set<int> ended_;                                  // layers that are all there

  std::unique_ptr<grpc::ClientContext> context_;  // made by the thread, cancelled under mutex_
  v1::PutTensorsResponse response_;
  std::unique_ptr<Call> call_;
  std::thread thread_;
};

}  // namespace rotor::worker
