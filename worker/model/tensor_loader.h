// Bytes of a checkpoint's tensors on their way to the backend: large positioned reads by several
// threads into host memory that the backend moves fast.
//
// Thread-safety: read_pieces is a plain function; a TensorLoader has one caller at a time. Errors:
// those of the source, which name file and tensor; RESOURCE_EXHAUSTED for host memory. Cost: a
// loader keeps up to 64 MiB.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "quant/checkpoint/tensor_spec.h"
#include "worker/backend/backend.h"

namespace rotor::worker {

/// Bytes [offset, offset + bytes) of a tensor, and where they go.
struct ReadPiece {
  std::string name;
  int64_t offset = 0;
  size_t bytes = 0;
  char* dst = nullptr;
};

/// Cuts bytes [offset, offset + bytes) of a tensor into pieces of a good size for one read, behind
/// those that are there.
void append_pieces(const std::string& name, int64_t offset, int64_t bytes, char* dst,
                   std::vector<ReadPiece>* pieces);

/// Reads all pieces; the error of one that failed. `source` may be read from any thread.
Status read_pieces(const TensorSource& source, const std::vector<ReadPiece>& pieces);

class TensorLoader {
 public:
  /// `source` must outlive this.
  explicit TensorLoader(const TensorSource& source) : source_(source) {}

  /// Fills `rows` with rows [row_begin, row_begin + rows.rows()) of a tensor of its width and
  /// dtype.
  Status load(Backend& backend, const std::string& name, int64_t row_begin, const Tensor& rows);

 private:
  const TensorSource& source_;
  std::shared_ptr<Buffer> staging_;
};

}  // namespace rotor::worker
