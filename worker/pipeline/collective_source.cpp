#include "worker/pipeline/collective_source.h"

#include <algorithm>
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
      ahead.status = reader_.read(name, mine.begin, ahead.bytes.data(), ahead.bytes.size());
      ahead_[name] = std::move(ahead);
    }
  });
}

Status CollectiveSource::read_rows(const std::string& name, int64_t row_begin, int64_t row_count,
                                   void* dst) {
  ROTOR_ASSIGN_OR_RETURN(const Shape found, shape(name));
  const int64_t row_bytes = found.cols * dtype_size(found.dtype);
  const Range wanted{row_begin * row_bytes, (row_begin + row_count) * row_bytes};
  // Shares are those of the whole tensor, so that rows asked for piece by piece meet what was read
  // ahead.
  const auto part_of = [&](int rank) {
    const Range whole = share(found.rows * row_bytes, comm_.size(), rank);
    const int64_t begin = std::clamp(whole.begin, wanted.begin, wanted.end);
    return Range{begin, std::clamp(whole.end, begin, wanted.end)};
  };
  const auto at = [&](int64_t offset) { return static_cast<char*>(dst) + (offset - wanted.begin); };

  join();
  const Range mine = part_of(comm_.rank());
  Status status;
  const auto ahead = ahead_.find(name);
  if (ahead != ahead_.end()) {
    const int64_t first = share(found.rows * row_bytes, comm_.size(), comm_.rank()).begin;
    status = ahead->second.status;
    if (status.ok() && mine.size() > 0) {
      std::memcpy(at(mine.begin), ahead->second.bytes.data() + (mine.begin - first),
                  static_cast<size_t>(mine.size()));
    }
    if (row_begin + row_count == found.rows) {
      ahead_.erase(ahead);
    }
  } else if (mine.size() > 0) {
    status = reader_.read(name, mine.begin, at(mine.begin), static_cast<size_t>(mine.size()));
  }
  ROTOR_RETURN_IF_ERROR(comm_.agree(status));
  for (int root = 0; root < comm_.size() && comm_.size() > 1; ++root) {
    const Range part = part_of(root);
    if (part.size() > 0) {
      ROTOR_RETURN_IF_ERROR(
          comm_.broadcast_host(at(part.begin), static_cast<size_t>(part.size()), root));
    }
  }
  return {};
}

}  // namespace rotor::worker
