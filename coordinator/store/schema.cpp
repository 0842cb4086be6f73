#include "coordinator/store/schema.h"

namespace rotor::coordinator {
namespace {

// Whatever changes in a job's life is in `jobs`; messages that are written once are blobs of
// rotor.v1. An event's revision counts within its job from 1 without holes.
constexpr char kTables[] = R"sql(
CREATE TABLE jobs (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  request_id TEXT NOT NULL UNIQUE,
  request BLOB NOT NULL,
  spec BLOB NOT NULL,
  estimate BLOB NOT NULL,
  model_path TEXT NOT NULL,
  output_path TEXT NOT NULL,
  inputs TEXT NOT NULL,
  source TEXT NOT NULL,
  calibration_digest TEXT NOT NULL,
  algorithm_version INTEGER NOT NULL,
  layers INTEGER NOT NULL,
  create_us INTEGER NOT NULL,
  state INTEGER NOT NULL,
  cause BLOB NOT NULL,
  revision INTEGER NOT NULL,
  update_us INTEGER NOT NULL,
  committed_layers INTEGER NOT NULL,
  last_fence INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  resumed_layers INTEGER NOT NULL,
  computed_layers INTEGER NOT NULL,
  fallbacks INTEGER NOT NULL,
  perplexity REAL,
  perplexity_tokens INTEGER NOT NULL,
  assemble_us INTEGER NOT NULL,
  output_bytes INTEGER NOT NULL,
  published TEXT NOT NULL,
  owner TEXT NOT NULL DEFAULT '',
  steady_us INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE events (
  job INTEGER NOT NULL REFERENCES jobs(seq) ON DELETE CASCADE,
  revision INTEGER NOT NULL,
  event BLOB NOT NULL,
  PRIMARY KEY (job, revision)
) WITHOUT ROWID;
CREATE TABLE layers (
  job INTEGER NOT NULL REFERENCES jobs(seq) ON DELETE CASCADE,
  layer INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  file TEXT NOT NULL,
  manifest BLOB NOT NULL,
  report BLOB NOT NULL,
  PRIMARY KEY (job, layer)
);
CREATE TABLE leases (
  job INTEGER NOT NULL REFERENCES jobs(seq) ON DELETE CASCADE,
  fence INTEGER NOT NULL,
  first_layer INTEGER NOT NULL,
  end_layer INTEGER NOT NULL,
  worker TEXT NOT NULL,
  ranks INTEGER NOT NULL,
  begin_us INTEGER NOT NULL,
  end_us INTEGER,
  reason TEXT NOT NULL,
  PRIMARY KEY (job, fence)
);
)sql";

// What version 2 has besides: the time base of leases, what is still to be removed of jobs that
// have ended, and how often the store was opened.
constexpr char kTablesSince2[] = R"sql(
CREATE TABLE cleanups (
  job_id TEXT PRIMARY KEY,
  partial TEXT NOT NULL,
  identity TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE openings (count INTEGER NOT NULL);
INSERT INTO openings VALUES (0);
)sql";

constexpr char kFrom1To2[] =
    "ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE jobs ADD COLUMN steady_us INTEGER NOT NULL DEFAULT 0";

Status set_version(Database* database) {
  const std::string version = "PRAGMA user_version=" + std::to_string(kSchemaVersion);
  return database->execute(version.c_str());
}

/// In one transaction: a crash leaves the old store or the new one.
Status migrate_from_1(Database* database) {
  ROTOR_ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(database));
  ROTOR_RETURN_IF_ERROR(database->execute(kFrom1To2));
  ROTOR_RETURN_IF_ERROR(database->execute(kTablesSince2));
  ROTOR_RETURN_IF_ERROR(set_version(database));
  return transaction.commit();
}

Status create_tables(Database* database) {
  ROTOR_ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(database));
  ROTOR_RETURN_IF_ERROR(database->execute(kTables));
  ROTOR_RETURN_IF_ERROR(database->execute(kTablesSince2));
  ROTOR_RETURN_IF_ERROR(set_version(database));
  return transaction.commit();
}

Status check_integrity(Database* database) {
  ROTOR_ASSIGN_OR_RETURN(const std::string verdict, database->query_text("PRAGMA quick_check(1)"));
  if (verdict != "ok") {
    return data_loss(database->path() + ": the job store is damaged (" + verdict +
                     "): put a copy back, or move the state directory away and submit the jobs "
                     "again")
        .with_reason("STORE_CORRUPT")
        .with_detail("file", database->path());
  }
  return {};
}

}  // namespace

Status prepare_schema(Database* database) {
  ROTOR_ASSIGN_OR_RETURN(const int64_t version, database->query_integer("PRAGMA user_version"));
  if (version == 0) {
    return create_tables(database);
  }
  if (version == 1) {
    ROTOR_RETURN_IF_ERROR(check_integrity(database));
    return migrate_from_1(database);
  }
  if (version != kSchemaVersion) {
    return failed_precondition(database->path() + ": the job store has schema version " +
                               std::to_string(version) + ", this program knows " +
                               std::to_string(kSchemaVersion) +
                               "; start the program that wrote it, or use another --state-dir")
        .with_reason("STORE_NEWER")
        .with_detail("file", database->path())
        .with_detail("version", std::to_string(version));
  }
  return check_integrity(database);
}

}  // namespace rotor::coordinator
