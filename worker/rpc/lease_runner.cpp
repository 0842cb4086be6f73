#include "worker/rpc/lease_runner.h"

#include <string>
#include <utility>
#include <vector>

#include "model/fingerprint.h"
#include "model/model_files.h"
#include "model/tokenizer/tokenizer.h"
#include "proto/convert.h"
#include "proto/windows.h"
#include "worker/pipeline/shard_runner.h"
#include "worker/rpc/job_sink.h"

namespace rotor::worker {
namespace {

Result<ModelFiles> open_source(const v1::Lease& lease) {
  ROTOR_ASSIGN_OR_RETURN(const ModelFingerprint fingerprint,
                         fingerprint_model(posix_file_system(), lease.model_path()));
  if (fingerprint.portable_digest() != lease.source_digest()) {
    return failed_precondition(lease.model_path() +
                               " is not the model that the job was submitted with: its config, "
                               "tokenizer or shards differ on this host")
        .with_reason("SOURCE_CHANGED")
        .with_detail("file", lease.model_path());
  }
  return open_model(posix_file_system(), lease.model_path());
}

struct Windows {
  TokenWindows calibration;
  std::optional<TokenWindows> evaluation;
};

Result<Windows> read_windows(const v1::Lease& lease, const ModelConfig& config) {
  Result<std::unique_ptr<Tokenizer>> tokenizer =
      open_tokenizer(lease.model_path() + "/tokenizer.json");
  const Tokenizer* known = tokenizer.ok() ? tokenizer->get() : nullptr;
  const auto paths = [](const auto& list) {
    return std::vector<std::string>(list.begin(), list.end());
  };
  Windows windows;
  ROTOR_ASSIGN_OR_RETURN(
      windows.calibration,
      read_calibration_windows(calibration_source(lease.spec(), paths(lease.calibration_paths())),
                               known, config));
  if (lease.spec().has_evaluation()) {
    ROTOR_ASSIGN_OR_RETURN(
        windows.evaluation,
        read_evaluation_windows(evaluation_source(lease.spec(), paths(lease.evaluation_paths())),
                                known, config));
  }
  if (windows_digest(windows.calibration, windows.evaluation) != lease.calibration_digest()) {
    return failed_precondition(
               "the calibration or evaluation files are not those that the job was submitted with")
        .with_reason("CALIBRATION_CHANGED");
  }
  if (!lease.evaluate()) {
    windows.evaluation.reset();
  }
  return windows;
}

Status share_windows(Communicator& comm, TokenWindows* windows) {
  std::string bytes(reinterpret_cast<const char*>(windows->ids.data()),
                    windows->ids.size() * sizeof(int32_t));
  ROTOR_RETURN_IF_ERROR(comm.broadcast(&bytes, 0));
  ROTOR_RETURN_IF_ERROR(comm.broadcast_host(&windows->seq_len, sizeof(windows->seq_len), 0));
  const auto* ids = reinterpret_cast<const int32_t*>(bytes.data());
  windows->ids.assign(ids, ids + bytes.size() / sizeof(int32_t));
  return {};
}

/// One rank reads and tokenizes for all.
Result<Windows> read_windows_together(Communicator& comm, const v1::Lease& lease,
                                      const ModelConfig& config) {
  Windows windows;
  Status mine;
  if (comm.rank() == 0) {
    Result<Windows> read = read_windows(lease, config);
    mine = read.status();
    if (read.ok()) {
      windows = std::move(read).value();
    }
  }
  ROTOR_RETURN_IF_ERROR(comm.agree(mine));
  ROTOR_RETURN_IF_ERROR(share_windows(comm, &windows.calibration));
  if (lease.evaluate()) {
    if (!windows.evaluation.has_value()) {
      windows.evaluation.emplace();
    }
    ROTOR_RETURN_IF_ERROR(share_windows(comm, &*windows.evaluation));
  }
  return windows;
}

Result<ModelPlan> plan_of(const v1::Lease& lease, const ModelFiles& model) {
  ROTOR_ASSIGN_OR_RETURN(const QuantOptions options,
                         to_options(lease.spec(), model.architecture.config.dtype));
  return make_plan(model.architecture, options);
}

}  // namespace

Result<std::optional<EvalResult>> run_lease(Backend& backend, Communicator& comm,
                                            const std::shared_ptr<grpc::Channel>& channel,
                                            AttachClient* client, const v1::Lease& lease,
                                            const std::function<bool()>& draining) {
  Result<ModelFiles> model = open_source(lease);
  ROTOR_RETURN_IF_ERROR(comm.agree(model.status()));
  Result<ModelPlan> plan = plan_of(lease, *model);
  ROTOR_RETURN_IF_ERROR(comm.agree(plan.status()));
  ROTOR_ASSIGN_OR_RETURN(Windows windows,
                         read_windows_together(comm, lease, model->architecture.config));
  ShardTask task;
  task.first_layer = lease.first_layer();
  task.end_layer = lease.end_layer();
  task.committed.assign(lease.committed_layers().begin(), lease.committed_layers().end());
  task.calibration = std::move(windows.calibration);
  task.evaluation = std::move(windows.evaluation);
  JobSink sink(channel, client, lease.job(), lease.fence(), lease.session(), draining);
  return ShardRunner(backend, comm, *model, *plan, sink, std::move(task)).run();
}

}  // namespace rotor::worker
