#include "worker/analyze/row_sample.h"

#include <algorithm>

namespace rotor::worker {

RowSample::RowSample(int64_t total, int64_t cols, int64_t values) : cols_(cols) {
  const int64_t wanted = std::max(values / cols, kLeastRows);
  stride_ = std::max<int64_t>((total + wanted - 1) / wanted, 1);
}

Status RowSample::add(Backend& backend, const Tensor& rows) {
  std::vector<int32_t> places;
  for (int64_t row = (stride_ - seen_ % stride_) % stride_; row < rows.rows(); row += stride_) {
    places.push_back(static_cast<int32_t>(row));
  }
  seen_ += rows.rows();
  if (places.empty()) {
    return {};
  }
  const int64_t count = std::ssize(places);
  ROTOR_ASSIGN_OR_RETURN(const Tensor which, backend.allocate(DType::kI32, count, 1));
  ROTOR_RETURN_IF_ERROR(backend.upload(places.data(), which.bytes(), which));
  ROTOR_ASSIGN_OR_RETURN(const Tensor taken, backend.allocate(rows.dtype(), count, cols_));
  ROTOR_RETURN_IF_ERROR(backend.gather_rows(rows, which, taken));
  ROTOR_ASSIGN_OR_RETURN(const Tensor wide, backend.allocate(DType::kF32, count, cols_));
  ROTOR_RETURN_IF_ERROR(backend.rotate(taken, 1, wide));
  const size_t before = values_.size();
  values_.resize(before + static_cast<size_t>(count * cols_));
  return backend.download(wide, values_.data() + before, wide.bytes());
}

}  // namespace rotor::worker
