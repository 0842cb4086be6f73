#include "worker/analyze/row_sample.h"

#include <algorithm>

namespace rotor::worker {

RowSample::RowSample(int64_t total, int64_t cols, int64_t values) : cols_(cols) {
  const int64_t wanted = std::max(values / cols, kLeastRows);
  run_ = std::max<int64_t>((total + wanted - 1) / wanted, 1);
}

int64_t RowSample::next_row() const {
  // Multiples of the golden ratio, modulo one, in 64 bits: spread as evenly as can be.
  const uint64_t spread = static_cast<uint64_t>(taken_) * 0x9E3779B97F4A7C15U;
  return taken_ * run_ + static_cast<int64_t>((spread >> 32) % static_cast<uint64_t>(run_));
}

Status RowSample::add(Backend& backend, const Tensor& rows) {
  std::vector<int32_t> places;
  for (int64_t row = next_row(); row < seen_ + rows.rows(); row = next_row()) {
    places.push_back(static_cast<int32_t>(row - seen_));
    ++taken_;
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
