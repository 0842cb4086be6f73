#include "coordinator/staging/upload_session.h"

namespace rotor::coordinator {
namespace {

Status out_of_order(const std::string& what) {
  return invalid_argument("PutTensors: " + what +
                          "; send a header, then for each tensor start, chunks and end")
      .with_reason("BAD_UPLOAD");
}

}  // namespace

Status UploadSession::accept(const v1::PutTensorsRequest& message) {
  switch (message.part_case()) {
    case v1::PutTensorsRequest::kHeader: {
      if (staging_) {
        return out_of_order("a second header");
      }
      job_ = message.header().job();
      ROTOR_ASSIGN_OR_RETURN(staging_, opener_(message.header()));
      return {};
    }
    case v1::PutTensorsRequest::kTensor: {
      if (!staging_ || tensor_) {
        return out_of_order(staging_ ? "a tensor starts within another" : "no header");
      }
      ROTOR_ASSIGN_OR_RETURN(tensor_, staging_->begin(message.tensor()));
      return {};
    }
    case v1::PutTensorsRequest::kChunk: {
      if (!tensor_) {
        return out_of_order("a chunk outside of a tensor");
      }
      if (message.chunk().size() > kMostChunkBytes) {
        return out_of_order("a chunk of " + std::to_string(message.chunk().size()) +
                            " bytes, more than 1 MiB");
      }
      return tensor_->write(message.chunk());
    }
    case v1::PutTensorsRequest::kEnd: {
      if (!tensor_) {
        return out_of_order("an end outside of a tensor");
      }
      ROTOR_RETURN_IF_ERROR(tensor_->finish(message.end().sha256()));
      done_.set_tensors(done_.tensors() + 1);
      done_.set_bytes(done_.bytes() + tensor_->bytes());
      tensor_.reset();
      return {};
    }
    case v1::PutTensorsRequest::PART_NOT_SET:
      break;
  }
  return out_of_order("a message without a part");
}

Result<v1::PutTensorsResponse> UploadSession::finish() {
  if (tensor_) {
    return out_of_order("the stream ended within a tensor");
  }
  return done_;
}

}  // namespace rotor::coordinator
