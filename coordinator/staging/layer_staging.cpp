#include "coordinator/staging/layer_staging.h"

#include <spdlog/spdlog.h>

#include "quant/base/dtype.h"

namespace rotor::coordinator {
namespace {

Status bad_upload(const std::string& tensor, const std::string& what) {
  return invalid_argument("tensor " + tensor + ": " + what)
      .with_reason("BAD_UPLOAD")
      .with_detail("tensor", tensor);
}

Status digest_mismatch(const std::string& tensor, const std::string& sent,
                       const std::string& received) {
  return data_loss("tensor " + tensor + ": its bytes have sha256 " + received +
                   ", the sender says " + sent + "; put it again")
      .with_reason("DIGEST_MISMATCH")
      .with_detail("tensor", tensor);
}

/// Compares what was announced with the plan; `dtype` and `shape` as the wire has them.
template <typename Announced>
Status check_spec(const TensorSpec& expected, const Announced& announced) {
  const std::vector<int64_t> shape(announced.shape().begin(), announced.shape().end());
  const std::optional<DType> dtype = dtype_from_name(announced.dtype());
  if (dtype == expected.dtype && shape == expected.shape) {
    return {};
  }
  const std::string found =
      dtype ? describe(TensorSpec{"", *dtype, shape}) : "dtype '" + announced.dtype() + "'";
  return bad_upload(expected.name, "expected " + describe(expected) + ", got " + found +
                                       "; worker and coordinator may differ in version");
}

}  // namespace

TensorUpload::TensorUpload(std::shared_ptr<LayerStaging> staging, const TensorSpec& spec)
    : staging_(std::move(staging)), spec_(spec) {}

TensorUpload::~TensorUpload() {
  if (!finished_) {
    staging_->settle(spec_.name, LayerStaging::Phase::kOpen, "");
  }
}

Status TensorUpload::write(std::string_view chunk) {
  ROTOR_RETURN_IF_ERROR(staging_->check_fence());
  const int64_t size = spec_.byte_size();
  if (static_cast<int64_t>(chunk.size()) > size - offset_) {
    return bad_upload(spec_.name,
                      "more bytes than the " + std::to_string(size) + " of " + describe(spec_));
  }
  digest_.update(chunk);
  ROTOR_RETURN_IF_ERROR(staging_->writer_->write(spec_.name, offset_, chunk.data(), chunk.size()));
  offset_ += static_cast<int64_t>(chunk.size());
  return {};
}

Status TensorUpload::finish(const std::string& sha256) {
  if (offset_ != spec_.byte_size()) {
    return bad_upload(spec_.name, "ended after " + std::to_string(offset_) + " bytes of " +
                                      std::to_string(spec_.byte_size()));
  }
  const std::string received = digest_.hex();
  if (received != sha256) {
    return digest_mismatch(spec_.name, sha256, received);
  }
  finished_ = true;
  staging_->settle(spec_.name, LayerStaging::Phase::kDone, received);
  return {};
}

Result<std::shared_ptr<LayerStaging>> LayerStaging::create(FileSystem& fs, const std::string& path,
                                                           std::vector<TensorSpec> specs) {
  std::shared_ptr<LayerStaging> staging(new LayerStaging(&fs, path));
  for (const TensorSpec& spec : specs) {
    staging->slots_[spec.name].spec = spec;
  }
  if (!specs.empty()) {
    ROTOR_ASSIGN_OR_RETURN(staging->writer_, SafetensorsWriter::create(fs, path, std::move(specs)));
  }
  return staging;
}

Result<std::unique_ptr<TensorUpload>> LayerStaging::begin(const v1::TensorStart& start) {
  ROTOR_RETURN_IF_ERROR(check_fence());
  const std::lock_guard lock(mutex_);
  const auto found = slots_.find(start.name());
  if (found == slots_.end()) {
    return bad_upload(start.name(), "the plan has no such tensor in this layer");
  }
  Slot& slot = found->second;
  ROTOR_RETURN_IF_ERROR(check_spec(slot.spec, start));
  if (sealed_ || slot.phase == Phase::kUploading) {
    return aborted("tensor " + start.name() +
                   (sealed_ ? ": its layer is being committed"
                            : " is being put by another stream; wait for its end"))
        .with_reason("UPLOAD_RUNNING")
        .with_detail("tensor", start.name());
  }
  slot.phase = Phase::kUploading;
  return std::make_unique<TensorUpload>(shared_from_this(), slot.spec);
}

Status LayerStaging::check(const v1::CommitLayer& commit) {
  const std::lock_guard lock(mutex_);
  std::map<std::string, const v1::TensorInfo*> announced;
  for (const v1::TensorInfo& info : commit.tensors()) {
    const auto found = slots_.find(info.name());
    if (found == slots_.end()) {
      return bad_upload(info.name(), "the plan has no such tensor in this layer");
    }
    ROTOR_RETURN_IF_ERROR(check_spec(found->second.spec, info));
    if (!announced.emplace(info.name(), &info).second) {
      return bad_upload(info.name(), "named twice in the manifest");
    }
  }
  for (const auto& [name, slot] : slots_) {
    const auto info = announced.find(name);
    if (info == announced.end() || slot.phase != Phase::kDone) {
      return failed_precondition(
                 "layer " + std::to_string(commit.layer()) + " is not complete: " + name +
                 (info == announced.end() ? " is not in the manifest" : " has not been put") +
                 "; put every tensor before the commit")
          .with_reason("INCOMPLETE_LAYER")
          .with_detail("tensor", name);
    }
    if (info->second->sha256() != slot.sha256) {
      return digest_mismatch(name, info->second->sha256(), slot.sha256);
    }
  }
  sealed_ = true;
  return {};
}

Status LayerStaging::publish() {
  return writer_ ? writer_->finish() : Status();
}

Status LayerStaging::check_fence() const {
  if (!revoked_) {
    return {};
  }
  return failed_precondition("the lease of this upload is over; wait for another one")
      .with_reason("STALE_FENCE");
}

void LayerStaging::discard() {
  if (!writer_) {
    return;
  }
  const Status removed = fs_->remove(SafetensorsWriter::partial_path(path_));
  if (!removed.ok() && removed.code() != Code::kNotFound) {
    // It is removed with the other leftovers at the next start.
    spdlog::warn("{}", removed.to_string());
  }
}

void LayerStaging::settle(const std::string& name, Phase phase, const std::string& sha256) {
  const std::lock_guard lock(mutex_);
  Slot& slot = slots_[name];
  slot.phase = phase;
  slot.sha256 = sha256;
}

}  // namespace rotor::coordinator
