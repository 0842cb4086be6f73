// The messages of one PutTensors call, in their order: header, then for each tensor its start, its
// chunks and its end. Free of gRPC, so that tests feed it by hand.
//
// Thread-safety: one thread. Errors: INVALID_ARGUMENT BAD_UPLOAD for a message out of order or a
// chunk over kMostChunkBytes; those of LayerStaging.
#pragma once

#include <functional>
#include <memory>

#include "coordinator/staging/layer_staging.h"

namespace rotor::coordinator {

class UploadSession {
 public:
  static constexpr size_t kMostChunkBytes = size_t{1} << 20;
  /// Finds the staging of a header's lease and layer, or says why there is none.
  using Opener = std::function<Result<std::shared_ptr<LayerStaging>>(const v1::PutHeader&)>;

  explicit UploadSession(Opener opener) : opener_(std::move(opener)) {}

  Status accept(const v1::PutTensorsRequest& message);
  /// After the last message. Error: a tensor without its end.
  Result<v1::PutTensorsResponse> finish();
  /// Of the header; empty before it.
  const std::string& job() const { return job_; }

 private:
  Opener opener_;
  std::string job_;
  std::shared_ptr<LayerStaging> staging_;
  std::unique_ptr<TensorUpload> tensor_;
  v1::PutTensorsResponse done_;
};

}  // namespace rotor::coordinator
