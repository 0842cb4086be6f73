#include <google/protobuf/util/time_util.h>

#include <nlohmann/json.hpp>

#include "coordinator/store/job_store.h"

namespace rotor::coordinator {
namespace {

std::string inputs_to_text(const std::vector<InputFile>& inputs) {
  nlohmann::json list = nlohmann::json::array();
  for (const InputFile& input : inputs) {
    list.push_back({{"path", input.path},
                    {"size", input.size},
                    {"sha256", input.sha256},
                    {"evaluation", input.evaluation}});
  }
  // Paths are bytes to the kernel. One that is no UTF-8 would be found changed later: never lost.
  return list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Status StoreWriter::insert_job(JobRecord* record) {
  ROTOR_ASSIGN_OR_RETURN(
      Statement insert,
      database_->prepare(
          "INSERT INTO jobs (id, request_id, request, spec, estimate, model_path, output_path,"
          " inputs, source, calibration_digest, algorithm_version, layers, create_us, state, cause,"
          " revision, update_us, committed_layers, last_fence, failures, resumed_layers,"
          " computed_layers, fallbacks, perplexity_tokens, assemble_us, output_bytes, published, "
          "owner)"
          " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,'',0,?,0,0,0,0,0,0,0,0,0,'',?)"));
  insert.bind(1, record->id)
      .bind(2, record->request_id)
      .bind_blob(3, record->request.SerializeAsString())
      .bind_blob(4, record->spec.SerializeAsString())
      .bind_blob(5, record->estimate.SerializeAsString())
      .bind(6, record->model_path)
      .bind(7, record->output_path)
      .bind(8, inputs_to_text(record->inputs))
      .bind(9, record->source)
      .bind(10, record->calibration_digest)
      .bind(11, int64_t{record->algorithm_version})
      .bind(12, int64_t{record->layers})
      .bind(13, record->create_us)
      .bind(14, int64_t{record->state})
      .bind(15, record->update_us)
      .bind(16, record->owner);
  ROTOR_RETURN_IF_ERROR(insert.run());
  record->sequence = database_->last_insert_id();
  return {};
}

Status StoreWriter::update_job(const JobRecord& record) {
  ROTOR_ASSIGN_OR_RETURN(
      Statement update,
      database_->prepare(
          "UPDATE jobs SET state=?, cause=?, revision=?, update_us=?, committed_layers=?,"
          " last_fence=?, failures=?, resumed_layers=?, computed_layers=?, fallbacks=?,"
          " perplexity=?, perplexity_tokens=?, assemble_us=?, output_bytes=?, published=?,"
          " steady_us=?"
          " WHERE seq=?"));
  update.bind(1, int64_t{record.state})
      .bind_blob(2, record.cause.SerializeAsString())
      .bind(3, record.revision)
      .bind(4, record.update_us)
      .bind(5, int64_t{record.committed_layers})
      .bind(6, record.last_fence)
      .bind(7, int64_t{record.failures})
      .bind(8, int64_t{record.resumed_layers})
      .bind(9, int64_t{record.computed_layers})
      .bind(10, record.fallbacks)
      .bind(12, record.perplexity_tokens)
      .bind(13, record.assemble_us)
      .bind(14, record.output_bytes)
      .bind(15, record.published)
      .bind(16, record.steady_us)
      .bind(17, record.sequence);
  if (record.perplexity) {
    update.bind(11, *record.perplexity);
  } else {
    update.bind_null(11);
  }
  return update.run();
}

Status StoreWriter::delete_job(int64_t sequence) {
  ROTOR_ASSIGN_OR_RETURN(Statement remove, database_->prepare("DELETE FROM jobs WHERE seq=?"));
  return remove.bind(1, sequence).run();
}

Status StoreWriter::append_event(JobRecord* record, v1::JobEvent event) {
  event.set_revision(++record->revision);
  *event.mutable_time() =
      google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(record->update_us);
  ROTOR_ASSIGN_OR_RETURN(
      Statement insert,
      database_->prepare("INSERT INTO events (job, revision, event) VALUES (?,?,?)"));
  return insert.bind(1, record->sequence)
      .bind(2, record->revision)
      .bind_blob(3, event.SerializeAsString())
      .run();
}

Status StoreWriter::put_layer(int64_t sequence, const LayerRecord& layer) {
  ROTOR_ASSIGN_OR_RETURN(
      Statement insert,
      database_->prepare("INSERT INTO layers (job, layer, fence, file, manifest, report)"
                         " VALUES (?,?,?,?,?,?)"));
  return insert.bind(1, sequence)
      .bind(2, int64_t{layer.layer})
      .bind(3, layer.fence)
      .bind(4, layer.file)
      .bind_blob(5, layer.manifest.SerializeAsString())
      .bind_blob(6, layer.report.SerializeAsString())
      .run();
}

Status StoreWriter::delete_layer(int64_t sequence, int32_t layer) {
  ROTOR_ASSIGN_OR_RETURN(Statement remove,
                         database_->prepare("DELETE FROM layers WHERE job=? AND layer=?"));
  return remove.bind(1, sequence).bind(2, int64_t{layer}).run();
}

Status StoreWriter::put_lease(int64_t sequence, const LeaseRecord& lease) {
  ROTOR_ASSIGN_OR_RETURN(
      Statement insert,
      database_->prepare("INSERT INTO leases (job, fence, first_layer, end_layer, worker, ranks,"
                         " begin_us, reason) VALUES (?,?,?,?,?,?,?,'')"));
  return insert.bind(1, sequence)
      .bind(2, lease.fence)
      .bind(3, int64_t{lease.first_layer})
      .bind(4, int64_t{lease.end_layer})
      .bind(5, lease.worker)
      .bind(6, int64_t{lease.ranks})
      .bind(7, lease.begin_us)
      .run();
}

Status StoreWriter::shrink_lease(int64_t sequence, int64_t fence, int32_t end_layer) {
  ROTOR_ASSIGN_OR_RETURN(
      Statement update,
      database_->prepare("UPDATE leases SET end_layer=? WHERE job=? AND fence=?"));
  return update.bind(1, int64_t{end_layer}).bind(2, sequence).bind(3, fence).run();
}

Status StoreWriter::end_lease(int64_t sequence, int64_t fence, int64_t end_us,
                              const std::string& reason) {
  ROTOR_ASSIGN_OR_RETURN(
      Statement update,
      database_->prepare("UPDATE leases SET end_us=?, reason=? WHERE job=? AND fence=?"
                         " AND end_us IS NULL"));
  return update.bind(1, end_us).bind(2, reason).bind(3, sequence).bind(4, fence).run();
}

Status StoreWriter::put_cleanup(const Cleanup& cleanup) {
  ROTOR_ASSIGN_OR_RETURN(
      Statement insert,
      database_->prepare(
          "INSERT OR REPLACE INTO cleanups (job_id, partial, identity) VALUES (?,?,?)"));
  return insert.bind(1, cleanup.job_id).bind(2, cleanup.partial).bind(3, cleanup.identity).run();
}

Status StoreWriter::delete_cleanup(const std::string& job_id) {
  ROTOR_ASSIGN_OR_RETURN(Statement remove,
                         database_->prepare("DELETE FROM cleanups WHERE job_id=?"));
  return remove.bind(1, job_id).run();
}

}  // namespace rotor::coordinator
