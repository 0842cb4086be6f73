// A dense row-major matrix in a backend's memory. Copies share the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "quant/base/dtype.h"

namespace rotor::worker {

/// Memory of one device; freed with the last tensor that uses it.
class Buffer {
 public:
  Buffer(void* data, size_t bytes) : data_(data), bytes_(bytes) {}
  virtual ~Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  void* data_;
  size_t bytes_;
};

/// [rows, cols] of dtype, rows contiguous. A default-constructed tensor is empty.
class Tensor {
 public:
  Tensor() = default;
  Tensor(DType dtype, int64_t rows, int64_t cols, std::shared_ptr<Buffer> buffer, size_t offset = 0)
      : dtype_(dtype), rows_(rows), cols_(cols), buffer_(std::move(buffer)), offset_(offset) {}

  DType dtype() const { return dtype_; }
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  int64_t size() const { return rows_ * cols_; }
  size_t bytes() const { return static_cast<size_t>(size() * dtype_size(dtype_)); }
  bool empty() const { return buffer_ == nullptr; }

  /// Device address of the first element.
  void* data() const { return buffer_ ? static_cast<char*>(buffer_->data()) + offset_ : nullptr; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data());
  }

  /// The same elements in another shape of as many, sharing the memory.
  Tensor reshaped(int64_t rows, int64_t cols) const {
    return {dtype_, rows, cols, buffer_, offset_};
  }

  /// Rows [begin, begin + count), sharing the memory.
  Tensor row_range(int64_t begin, int64_t count) const {
    return {dtype_, count, cols_, buffer_,
            offset_ + static_cast<size_t>(begin * cols_ * dtype_size(dtype_))};
  }

 private:
  DType dtype_ = DType::kF32;
  int64_t rows_ = 0;
  int64_t cols_ = 0;
  std::shared_ptr<Buffer> buffer_;
  size_t offset_ = 0;
};

}  // namespace rotor::worker
