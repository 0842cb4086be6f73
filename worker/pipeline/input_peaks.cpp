#include "worker/pipeline/input_peaks.h"

namespace rotor::worker {

Result<InputPeaks> InputPeaks::create(Backend& backend, int64_t count) {
  ROTOR_ASSIGN_OR_RETURN(Tensor peaks, backend.allocate(DType::kF32, count, 1));
  const std::vector<float> zeros(static_cast<size_t>(count), 0.0F);
  ROTOR_RETURN_IF_ERROR(backend.upload(zeros.data(), peaks.bytes(), peaks));
  return InputPeaks(backend, std::move(peaks));
}

Result<std::vector<float>> InputPeaks::values() const {
  std::vector<float> values(static_cast<size_t>(peaks_.rows()));
  ROTOR_RETURN_IF_ERROR(backend_->download(peaks_, values.data(), peaks_.bytes()));
  return values;
}

}  // namespace rotor::worker
