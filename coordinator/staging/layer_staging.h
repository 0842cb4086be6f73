// One layer on its way in: a safetensors file whose tensors, known from the plan, arrive from
// several ranks at once, in chunks, each with its digest. Nothing but the chunk at hand is in
// memory.
//
// Thread-safety: from any thread; each TensorUpload from one. Failure: a refused or broken upload
// leaves its tensor open, and it may be put again. After revoke() every write is refused with
// STALE_FENCE. Durable only once publish() has returned.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "quant/base/sha256.h"
#include "quant/base/status.h"
#include "quant/checkpoint/safetensors_writer.h"
#include "rotor/v1/workers.pb.h"

namespace rotor::coordinator {

class LayerStaging;

/// One tensor arriving. Destroyed before finish() succeeded, the tensor is open again.
class TensorUpload {
 public:
  TensorUpload(std::shared_ptr<LayerStaging> staging, const TensorSpec& spec);
  TensorUpload(const TensorUpload&) = delete;
  TensorUpload& operator=(const TensorUpload&) = delete;
  ~TensorUpload();

  /// The next bytes. Errors: INVALID_ARGUMENT, BAD_UPLOAD (more than the tensor has), STALE_FENCE,
  /// file system.
  Status write(std::string_view chunk);
  /// Errors: INVALID_ARGUMENT BAD_UPLOAD (too few bytes), DATA_LOSS DIGEST_MISMATCH.
  Status finish(const std::string& sha256);
  int64_t bytes() const { return offset_; }

 private:
  std::shared_ptr<LayerStaging> staging_;
  TensorSpec spec_;
  Sha256 digest_;
  int64_t offset_ = 0;
  bool finished_ = false;
};

class LayerStaging : public std::enable_shared_from_this<LayerStaging> {
 public:
  /// Starts PATH.partial for the tensors of one layer; with no tensors there is no file.
  static Result<std::shared_ptr<LayerStaging>> create(FileSystem& fs, const std::string& path,
                                                      std::vector<TensorSpec> specs);

  /// Errors, INVALID_ARGUMENT BAD_UPLOAD naming what was expected: a name that the layer does not
  /// have, another dtype or shape; ABORTED UPLOAD_RUNNING while another stream puts it, or while
  /// the layer is being committed.
  Result<std::unique_ptr<TensorUpload>> begin(const v1::TensorStart& start);

  /// That every tensor is there, with the digest that `commit` says, and none besides. Errors:
  /// FAILED_PRECONDITION INCOMPLETE_LAYER naming the tensors missing; DATA_LOSS DIGEST_MISMATCH;
  /// INVALID_ARGUMENT BAD_UPLOAD for a manifest that does not fit the plan. After success nothing
  /// more can be put.
  Status check(const v1::CommitLayer& commit);
  /// fsync, rename to PATH, sync of the directory. Once.
  Status publish();

  /// The lease is over: refuses whatever comes.
  void revoke() { revoked_ = true; }
  Status check_fence() const;
  /// Removes PATH.partial. For a staging that will not be published.
  void discard();

  int64_t file_size() const { return writer_ ? writer_->file_size() : 0; }

 private:
  friend class TensorUpload;
  enum class Phase { kOpen, kUploading, kDone };
  struct Slot {
    TensorSpec spec;
    Phase phase = Phase::kOpen;
    std::string sha256;
  };
  LayerStaging(FileSystem* fs, std::string path) : fs_(fs), path_(std::move(path)) {}
  void settle(const std::string& name, Phase phase, const std::string& sha256);

  FileSystem* fs_;
  std::string path_;
  std::unique_ptr<SafetensorsWriter> writer_;  // null: no tensors
  std::atomic<bool> revoked_{false};
  std::mutex mutex_;
  std::map<std::string, Slot> slots_;
  bool sealed_ = false;
};

}  // namespace rotor::coordinator
