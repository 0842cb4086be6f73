#include "coordinator/store/job_store.h"

#include <nlohmann/json.hpp>

#include "coordinator/store/schema.h"
#include "quant/base/json.h"

namespace rotor::coordinator {
namespace {

constexpr char kJobColumns[] =
    "seq, id, request_id, request, spec, estimate, model_path, output_path, inputs, source,"
    " calibration_digest, algorithm_version, layers, create_us, state, cause, revision, update_us,"
    " committed_layers, last_fence, failures, resumed_layers, computed_layers, fallbacks,"
    " perplexity, perplexity_tokens, assemble_us, output_bytes, published, owner, steady_us";

Status corrupt(const std::string& path, const std::string& what) {
  return data_loss(path + ": the job store is damaged: " + what)
      .with_reason("STORE_CORRUPT")
      .with_detail("file", path);
}

template <typename Message>
Status parse_blob(const std::string& path, const std::string& what, const std::string& bytes,
                  Message* message) {
  return message->ParseFromString(bytes) ? Status() : corrupt(path, what + " cannot be read");
}

Status parse_inputs(const std::string& path, const std::string& text,
                    std::vector<InputFile>* inputs) {
  ROTOR_ASSIGN_OR_RETURN(const nlohmann::json list, parse_json(text, path));
  for (const nlohmann::json& entry : list) {
    InputFile input;
    input.path = entry.value("path", "");
    input.size = entry.value("size", int64_t{0});
    input.sha256 = entry.value("sha256", "");
    input.evaluation = entry.value("evaluation", false);
    inputs->push_back(std::move(input));
  }
  return {};
}

Result<JobRecord> read_job(const std::string& path, const Statement& row) {
  JobRecord job;
  job.sequence = row.integer(0);
  job.id = row.text(1);
  job.request_id = row.text(2);
  ROTOR_RETURN_IF_ERROR(parse_blob(path, job.id + ".request", row.blob(3), &job.request));
  ROTOR_RETURN_IF_ERROR(parse_blob(path, job.id + ".spec", row.blob(4), &job.spec));
  ROTOR_RETURN_IF_ERROR(parse_blob(path, job.id + ".estimate", row.blob(5), &job.estimate));
  job.model_path = row.text(6);
  job.output_path = row.text(7);
  ROTOR_RETURN_IF_ERROR(parse_inputs(path, row.text(8), &job.inputs));
  job.source = row.text(9);
  job.calibration_digest = row.text(10);
  job.algorithm_version = static_cast<int32_t>(row.integer(11));
  job.layers = static_cast<int32_t>(row.integer(12));
  job.create_us = row.integer(13);
  job.state = static_cast<v1::JobState>(row.integer(14));
  ROTOR_RETURN_IF_ERROR(parse_blob(path, job.id + ".cause", row.blob(15), &job.cause));
  job.revision = row.integer(16);
  job.update_us = row.integer(17);
  job.committed_layers = static_cast<int32_t>(row.integer(18));
  job.last_fence = row.integer(19);
  job.failures = static_cast<int32_t>(row.integer(20));
  job.resumed_layers = static_cast<int32_t>(row.integer(21));
  job.computed_layers = static_cast<int32_t>(row.integer(22));
  job.fallbacks = row.integer(23);
  if (!row.is_null(24)) {
    job.perplexity = row.real(24);
  }
  job.perplexity_tokens = row.integer(25);
  job.assemble_us = row.integer(26);
  job.output_bytes = row.integer(27);
  job.published = row.text(28);
  job.owner = row.text(29);
  job.steady_us = row.integer(30);
  return job;
}

}  // namespace

Result<std::unique_ptr<JobStore>> JobStore::open(const std::string& path) {
  std::unique_ptr<JobStore> store(new JobStore());
  ROTOR_RETURN_IF_ERROR(store->database_.open(path));
  ROTOR_RETURN_IF_ERROR(prepare_schema(&store->database_));
  ROTOR_RETURN_IF_ERROR(store->database_.execute(
      "UPDATE leases SET reason='RESTART',"
      " end_us=max(begin_us, (SELECT CASE steady_us WHEN 0 THEN update_us ELSE steady_us END"
      " FROM jobs WHERE seq=leases.job))"
      " WHERE end_us IS NULL"));
  return store;
}

Status JobStore::write(const std::function<Status(StoreWriter&)>& body) {
  const std::lock_guard lock(mutex_);
  ROTOR_ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(&database_));
  StoreWriter writer(&database_);
  ROTOR_RETURN_IF_ERROR(body(writer));
  return transaction.commit();
}

Result<std::vector<JobRecord>> JobStore::select_jobs(const std::string& where,
                                                     const std::function<void(Statement&)>& bind) {
  ROTOR_ASSIGN_OR_RETURN(Statement select, database_.prepare(std::string("SELECT ") + kJobColumns +
                                                             " FROM jobs " + where));
  bind(select);
  std::vector<JobRecord> jobs;
  while (true) {
    ROTOR_ASSIGN_OR_RETURN(const bool row, select.step());
    if (!row) {
      return jobs;
    }
    ROTOR_ASSIGN_OR_RETURN(JobRecord job, read_job(database_.path(), select));
    jobs.push_back(std::move(job));
  }
}

Result<JobRecord> JobStore::job(const std::string& id) {
  const std::lock_guard lock(mutex_);
  ROTOR_ASSIGN_OR_RETURN(std::vector<JobRecord> found,
                         select_jobs("WHERE id=?", [&](Statement& s) { s.bind(1, id); }));
  if (found.empty()) {
    return not_found("there is no job jobs/" + id + "; `rotor jobs` lists those there are")
        .with_reason("NO_SUCH_JOB")
        .with_detail("job", "jobs/" + id);
  }
  return std::move(found.front());
}

Result<std::optional<JobRecord>> JobStore::job_of_request(const std::string& request_id) {
  const std::lock_guard lock(mutex_);
  ROTOR_ASSIGN_OR_RETURN(
      std::vector<JobRecord> found,
      select_jobs("WHERE request_id=?", [&](Statement& s) { s.bind(1, request_id); }));
  if (found.empty()) {
    return std::optional<JobRecord>();
  }
  return std::optional<JobRecord>(std::move(found.front()));
}

Result<JobPage> JobStore::list(int64_t before, int limit, const std::vector<v1::JobState>& states) {
  std::string where = "WHERE (?1=0 OR seq<?1)";
  for (size_t i = 0; i < states.size(); ++i) {
    where += (i == 0 ? " AND state IN (" : ",") + std::to_string(static_cast<int>(states[i]));
  }
  where += std::string(states.empty() ? "" : ")") + " ORDER BY seq DESC LIMIT ?2";
  const std::lock_guard lock(mutex_);
  JobPage page;
  ROTOR_ASSIGN_OR_RETURN(page.jobs, select_jobs(where, [&](Statement& s) {
                           s.bind(1, before).bind(2, int64_t{limit} + 1);
                         }));
  page.more = page.jobs.size() > static_cast<size_t>(limit);
  if (page.more) {
    page.jobs.pop_back();
  }
  return page;
}

Result<std::vector<JobRecord>> JobStore::jobs_with_layers() {
  const std::lock_guard lock(mutex_);
  return select_jobs("WHERE state NOT IN (?,?) ORDER BY seq", [](Statement& s) {
    s.bind(1, int64_t{v1::JOB_STATE_SUCCEEDED}).bind(2, int64_t{v1::JOB_STATE_CANCELLED});
  });
}

Result<std::vector<v1::JobEvent>> JobStore::events(int64_t sequence, int64_t revision, int limit) {
  const std::lock_guard lock(mutex_);
  ROTOR_ASSIGN_OR_RETURN(Statement select,
                         database_.prepare("SELECT event FROM events WHERE job=? AND revision>=?"
                                           " ORDER BY revision LIMIT ?"));
  select.bind(1, sequence).bind(2, revision).bind(3, int64_t{limit});
  std::vector<v1::JobEvent> events;
  while (true) {
    ROTOR_ASSIGN_OR_RETURN(const bool row, select.step());
    if (!row) {
      return events;
    }
    ROTOR_RETURN_IF_ERROR(
        parse_blob(database_.path(), "an event", select.blob(0), &events.emplace_back()));
  }
}

Result<std::vector<JobStore::LayerRow>> JobStore::layer_rows(int64_t sequence) {
  const std::lock_guard lock(mutex_);
  ROTOR_ASSIGN_OR_RETURN(Statement select,
                         database_.prepare("SELECT layer, fence, file, manifest, report FROM layers"
                                           " WHERE job=? ORDER BY layer"));
  select.bind(1, sequence);
  std::vector<LayerRow> rows;
  while (true) {
    ROTOR_ASSIGN_OR_RETURN(const bool row, select.step());
    if (!row) {
      return rows;
    }
    LayerRow& read = rows.emplace_back();
    read.layer.layer = static_cast<int32_t>(select.integer(0));
    read.layer.fence = select.integer(1);
    read.layer.file = select.text(2);
    read.manifest = select.blob(3);
    read.report = select.blob(4);
  }
}

Result<std::vector<LayerRecord>> JobStore::layers(int64_t sequence) {
  ROTOR_ASSIGN_OR_RETURN(std::vector<LayerRow> rows, layer_rows(sequence));
  // Not under the mutex: the reports of a mixture of experts take long to parse, and every change
  // of a job would wait for it.
  std::vector<LayerRecord> layers;
  for (LayerRow& row : rows) {
    ROTOR_RETURN_IF_ERROR(
        parse_blob(database_.path(), "a manifest", row.manifest, &row.layer.manifest));
    ROTOR_RETURN_IF_ERROR(
        parse_blob(database_.path(), "a layer report", row.report, &row.layer.report));
    layers.push_back(std::move(row.layer));
  }
  return layers;
}

Result<std::vector<LeaseRecord>> JobStore::leases(int64_t sequence) {
  const std::lock_guard lock(mutex_);
  ROTOR_ASSIGN_OR_RETURN(
      Statement select,
      database_.prepare("SELECT fence, first_layer, end_layer, worker, ranks, begin_us, end_us,"
                        " reason FROM leases WHERE job=? ORDER BY fence"));
  select.bind(1, sequence);
  std::vector<LeaseRecord> leases;
  while (true) {
    ROTOR_ASSIGN_OR_RETURN(const bool row, select.step());
    if (!row) {
      return leases;
    }
    LeaseRecord lease;
    lease.fence = select.integer(0);
    lease.first_layer = static_cast<int32_t>(select.integer(1));
    lease.end_layer = static_cast<int32_t>(select.integer(2));
    lease.worker = select.text(3);
    lease.ranks = static_cast<int32_t>(select.integer(4));
    lease.begin_us = select.integer(5);
    if (!select.is_null(6)) {
      lease.end_us = select.integer(6);
    }
    lease.reason = select.text(7);
    leases.push_back(std::move(lease));
  }
}

Result<std::vector<Cleanup>> JobStore::cleanups() {
  const std::lock_guard lock(mutex_);
  ROTOR_ASSIGN_OR_RETURN(
      Statement select,
      database_.prepare("SELECT job_id, partial, identity FROM cleanups ORDER BY job_id"));
  std::vector<Cleanup> cleanups;
  while (true) {
    ROTOR_ASSIGN_OR_RETURN(const bool row, select.step());
    if (!row) {
      return cleanups;
    }
    cleanups.push_back({select.text(0), select.text(1), select.text(2)});
  }
}

Result<std::map<v1::JobState, int64_t>> JobStore::count_by_state() {
  const std::lock_guard lock(mutex_);
  ROTOR_ASSIGN_OR_RETURN(Statement select,
                         database_.prepare("SELECT state, count(*) FROM jobs GROUP BY state"));
  std::map<v1::JobState, int64_t> counts;
  while (true) {
    ROTOR_ASSIGN_OR_RETURN(const bool row, select.step());
    if (!row) {
      return counts;
    }
    counts[static_cast<v1::JobState>(select.integer(0))] = select.integer(1);
  }
}

Result<std::vector<std::string>> JobStore::ended_before(int64_t update_us) {
  const std::lock_guard lock(mutex_);
  ROTOR_ASSIGN_OR_RETURN(
      Statement select,
      database_.prepare("SELECT id FROM jobs WHERE update_us<?"
                        " AND (state IN (?,?) OR (state=? AND committed_layers=0)) ORDER BY seq"));
  select.bind(1, update_us)
      .bind(2, int64_t{v1::JOB_STATE_SUCCEEDED})
      .bind(3, int64_t{v1::JOB_STATE_CANCELLED})
      .bind(4, int64_t{v1::JOB_STATE_FAILED});
  std::vector<std::string> ids;
  while (true) {
    ROTOR_ASSIGN_OR_RETURN(const bool row, select.step());
    if (!row) {
      return ids;
    }
    ids.push_back(select.text(0));
  }
}

Status JobStore::vacuum() {
  constexpr int64_t kFewPages = 256;  // of 4 KiB: not worth the copy that VACUUM makes
  const std::lock_guard lock(mutex_);
  ROTOR_ASSIGN_OR_RETURN(const int64_t free, database_.query_integer("PRAGMA freelist_count"));
  ROTOR_ASSIGN_OR_RETURN(const int64_t pages, database_.query_integer("PRAGMA page_count"));
  return free < kFewPages || free < pages / 4 ? Status() : database_.execute("VACUUM");
}

Result<int64_t> JobStore::last_steady_us() {
  const std::lock_guard lock(mutex_);
  return database_.query_integer("SELECT max(steady_us) FROM jobs");
}

Result<int64_t> JobStore::count_opening() {
  const std::lock_guard lock(mutex_);
  ROTOR_ASSIGN_OR_RETURN(const int64_t before,
                         database_.query_integer("SELECT count FROM openings"));
  ROTOR_RETURN_IF_ERROR(database_.execute("UPDATE openings SET count=count+1"));
  return before;
}

}  // namespace rotor::coordinator
