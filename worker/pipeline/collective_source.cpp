#include "worker/pipeline/collective_source.h"

#include <utility>

#include "worker/pipeline/lane_tree.h"

namespace rotor::worker {
namespace {

constexpr size_t kAlignment = 256;  // of shares in the arena: what copies to a device like

}  // namespace

CollectiveSource::~CollectiveSource() {
  join();
}

void CollectiveSource::join() {
  if (thread_.joinable()) {
    thread_.join();
  }
}

Result<WeightSource::Shape> CollectiveSource::shape(const std::string& name) {
  const TensorSpec* spec = weights_.find(name);
  if (spec == nullptr) {
    return missing_tensor("the model", name);
  }
  Shape shape{spec->dtype, 1, 1};
  if (!spec->shape.empty()) {
    shape.cols = spec->shape.back();
    for (size_t i = 0; i + 1 < spec->shape.size(); ++i) {
      shape.rows *= spec->shape[i];
    }
  }
  return shape;
}

std::vector<int64_t> CollectiveSource::shares(int64_t rows) const {
  std::vector<int64_t> begin;
  for (int rank = 0; rank <= comm_.size(); ++rank) {
    begin.push_back(share(rows, comm_.size(), rank).begin);
  }
  return begin;
}

void CollectiveSource::read_ahead(Backend& backend, const std::vector<std::string>& names) {
  join();
  ahead_.clear();
  ahead_status_ = Status();
  struct Share {
    std::string name;
    Range bytes;
    size_t place;
  };
  std::vector<Share> mine;
  size_t total = 0;
  for (const std::string& name : names) {
    const Result<Shape> found = shape(name);
    if (!found.ok()) {
      continue;  // whoever asks for it gets the error
    }
    const Range rows = share(found->rows, comm_.size(), comm_.rank());
    const int64_t row_bytes = found->cols * dtype_size(found->dtype);
    mine.push_back({name, {rows.begin * row_bytes, rows.end * row_bytes}, total});
    ahead_[name] = total;
    total +=
        (static_cast<size_t>(rows.size() * row_bytes) + kAlignment - 1) / kAlignment * kAlignment;
  }
  if (total == 0) {
    return;
  }
  if (arena_ == nullptr || arena_->bytes() < total) {
    arena_.reset();
    Result<std::shared_ptr<Buffer>> made = backend.allocate_host(total);
    if (!made.ok()) {
      ahead_.clear();  // then each tensor is read when it is asked for
      return;
    }
    arena_ = std::move(made).value();
  }
  std::vector<ReadPiece> pieces;
  for (const Share& part : mine) {
    append_pieces(part.name, part.bytes.begin, part.bytes.size(),
                  static_cast<char*>(arena_->data()) + part.place, &pieces);
  }
  thread_ = std::thread(
      [this, pieces = std::move(pieces)] { ahead_status_ = read_pieces(weights_, pieces); });
}

Status CollectiveSource::upload_share(Backend& backend, const std::string& name, int64_t row_begin,
                                      const Tensor& rows) {
  const auto ahead = ahead_.find(name);
  if (ahead == ahead_.end()) {
    return loader_.load(backend, name, row_begin, rows);
  }
  ROTOR_RETURN_IF_ERROR(ahead_status_);
  const char* bytes = static_cast<const char*>(arena_->data()) + ahead->second;
  return backend.upload(bytes, rows.bytes(), rows);
}

Result<Tensor> CollectiveSource::load(Backend& backend, const std::string& name,
                                      const Shape& shape) {
  join();
  const std::vector<int64_t> begin = shares(shape.rows);
  const auto rank = static_cast<size_t>(comm_.rank());
  const int64_t count = begin[rank + 1] - begin[rank];
  Result<Tensor> tensor = backend.allocate(shape.dtype, shape.rows, shape.cols);
  Status mine = tensor.status();
  if (mine.ok() && count > 0) {
    mine = upload_share(backend, name, begin[rank], tensor->row_range(begin[rank], count));
  }
  ROTOR_RETURN_IF_ERROR(comm_.agree(mine));
  if (comm_.size() > 1) {
    ROTOR_RETURN_IF_ERROR(comm_.all_gather_rows(*tensor, begin));
  }
  return tensor;
}

}  // namespace rotor::worker
