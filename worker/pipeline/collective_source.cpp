#include "worker/pipeline/collective_source.h"

#include <cstring>
#include <utility>

#include "worker/pipeline/lane_tree.h"

namespace rotor::worker {

CollectiveSource::~CollectiveSource() {
  join();
}

void CollectiveSource::join() {
  if (thread_.joinable()) {
    thread_.join();
  }
}

Result<WeightSource::Shape> CollectiveSource::shape(const std::string& name) {
  const TensorSpec* spec = reader_.find(name);
  if (spec == nullptr) {
    return not_found(reader_.directory() + " has no tensor " + name)
        .with_reason("MISSING_TENSOR")
        .with_detail("tensor", name);
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

Status CollectiveSource::read_share(const std::string& name, int64_t begin_byte, int64_t end_byte,
                                    char* dst) {
  return reader_.read(name, begin_byte, dst, static_cast<size_t>(end_byte - begin_byte));
}

void CollectiveSource::read_ahead(std::vector<std::string> names) {
  join();
  ahead_.clear();
  thread_ = std::thread([this, names = std::move(names)] {
    for (const std::string& name : names) {
      const TensorSpec* spec = reader_.find(name);
      if (spec == nullptr) {
        continue;  // whoever asks for it gets the error
      }
      const Range mine = share(spec->byte_size(), comm_.size(), comm_.rank());
      Ahead ahead;
      ahead.bytes.resize(static_cast<size_t>(mine.size()));
      ahead.status = read_share(name, mine.begin, mine.end, ahead.bytes.data());
      ahead_[name] = std::move(ahead);
    }
  });
}

Status CollectiveSource::read_rows(const std::string& name, int64_t row_begin, int64_t row_count,
                                   void* dst) {
  ROTOR_ASSIGN_OR_RETURN(const Shape found, shape(name));
  const int64_t row_bytes = found.cols * dtype_size(found.dtype);
  const int64_t first = row_begin * row_bytes;
  const int64_t total = row_count * row_bytes;
  const Range mine = share(total, comm_.size(), comm_.rank());
  char* out = static_cast<char*>(dst);

  join();
  Status status;
  const auto ahead = ahead_.find(name);
  if (ahead != ahead_.end() && row_begin == 0 && row_count == found.rows) {
    status = ahead->second.status;
    if (status.ok()) {
      std::memcpy(out + mine.begin, ahead->second.bytes.data(), ahead->second.bytes.size());
    }
    ahead_.erase(ahead);
  } else {
    status = read_share(name, first + mine.begin, first + mine.end, out + mine.begin);
  }
  ROTOR_RETURN_IF_ERROR(comm_.agree(status));
  for (int root = 0; root < comm_.size() && comm_.size() > 1; ++root) {
    const Range part = share(total, comm_.size(), root);
    ROTOR_RETURN_IF_ERROR(
        comm_.broadcast_host(out + part.begin, static_cast<size_t>(part.size()), root));
  }
  return {};
}

}  // namespace rotor::worker
