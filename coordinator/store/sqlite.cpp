#include "coordinator/store/sqlite.h"

#include <cerrno>
#include <utility>

namespace rotor::coordinator {

Statement::Statement(Database* database, sqlite3_stmt* statement)
    : database_(database), statement_(statement) {}

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_),
      statement_(std::exchange(other.statement_, nullptr)),
      bind_error_(other.bind_error_) {}

Statement::~Statement() {
  sqlite3_finalize(statement_);
}

void Statement::note(int code) {
  if (bind_error_ == SQLITE_OK) {
    bind_error_ = code;
  }
}

Statement& Statement::bind(int index, int64_t value) {
  note(sqlite3_bind_int64(statement_, index, value));
  return *this;
}

Statement& Statement::bind(int index, double value) {
  note(sqlite3_bind_double(statement_, index, value));
  return *this;
}

Statement& Statement::bind(int index, std::string_view text) {
  note(sqlite3_bind_text64(statement_, index, text.data() == nullptr ? "" : text.data(),
                           text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
  return *this;
}

Statement& Statement::bind_blob(int index, std::string_view bytes) {
  // A null pointer would bind NULL, not an empty blob.
  note(sqlite3_bind_blob64(statement_, index, bytes.data() == nullptr ? "" : bytes.data(),
                           bytes.size(), SQLITE_TRANSIENT));
  return *this;
}

Statement& Statement::bind_null(int index) {
  note(sqlite3_bind_null(statement_, index));
  return *this;
}

Result<bool> Statement::step() {
  if (bind_error_ != SQLITE_OK) {
    return database_->error(bind_error_, "bind");
  }
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) {
    return true;
  }
  if (code == SQLITE_DONE) {
    return false;
  }
  return database_->error(code, sqlite3_sql(statement_));
}

Status Statement::run() {
  return step().status();
}

int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}
double Statement::real(int column) const {
  return sqlite3_column_double(statement_, column);
}

std::string Statement::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
  return bytes == nullptr ? std::string() : std::string(bytes, size);
}

std::string Statement::blob(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
  return bytes == nullptr ? std::string() : std::string(bytes, size);
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

Database::~Database() {
  sqlite3_close_v2(handle_);
}

Status Database::open(const std::string& path) {
  path_ = path;
  const int code =
      sqlite3_open_v2(path.c_str(), &handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  if (code != SQLITE_OK) {
    return error(code, "open");
  }
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_timeout(handle_, 5000);
  ROTOR_ASSIGN_OR_RETURN(const std::string mode, query_text("PRAGMA journal_mode=WAL"));
  if (mode != "wal") {
    return failed_precondition(path + ": SQLite gives journal mode '" + mode +
                               "', not WAL; keep the state directory on a local filesystem")
        .with_reason("STORE_NEEDS_WAL")
        .with_detail("file", path);
  }
  ROTOR_RETURN_IF_ERROR(execute("PRAGMA synchronous=FULL"));
  return execute("PRAGMA foreign_keys=ON");
}

Status Database::execute(const char* sql) {
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? Status() : error(code, sql);
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v2(handle_, sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) {
    return error(code, sql);
  }
  return Statement(this, statement);
}

Result<int64_t> Database::query_integer(std::string_view sql) {
  ROTOR_ASSIGN_OR_RETURN(Statement statement, prepare(sql));
  ROTOR_ASSIGN_OR_RETURN(const bool row, statement.step());
  return row ? statement.integer(0) : 0;
}

Result<std::string> Database::query_text(std::string_view sql) {
  ROTOR_ASSIGN_OR_RETURN(Statement statement, prepare(sql));
  ROTOR_ASSIGN_OR_RETURN(const bool row, statement.step());
  return row ? statement.text(0) : std::string();
}

int64_t Database::last_insert_id() const {
  return sqlite3_last_insert_rowid(handle_);
}

Status Database::error(int code, std::string_view what) const {
  const std::string detail = handle_ != nullptr ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
  const std::string message = path_ + ": " + std::string(what) + ": " + detail;
  Status status;
  const int system = handle_ != nullptr ? sqlite3_system_errno(handle_) : 0;
  const bool failed_io = (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN;
  if (failed_io && (system == ENOSPC || system == EDQUOT || system == EFBIG)) {
    return resource_exhausted(message).with_reason("DISK_FULL").with_detail("file", path_);
  }
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      status = data_loss(message +
                         "; the job store is damaged: put a copy back, or move the "
                         "state directory away and submit the jobs again")
                   .with_reason("STORE_CORRUPT");
      break;
    case SQLITE_FULL:
      status = resource_exhausted(message).with_reason("DISK_FULL");
      break;
    case SQLITE_NOMEM:
      status = resource_exhausted(message).with_reason("OUT_OF_RESOURCES");
      break;
    case SQLITE_IOERR:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      status = unavailable(message).with_reason("IO_ERROR");
      break;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      status = Status(Code::kPermissionDenied, message).with_reason("PERMISSION_DENIED");
      break;
    default:
      status = internal_error(message).with_reason("STORE_ERROR");
      break;
  }
  return std::move(status).with_detail("file", path_);
}

Result<Transaction> Transaction::begin(Database* database) {
  // IMMEDIATE: a write lock that cannot be had shows here, not halfway.
  ROTOR_RETURN_IF_ERROR(database->execute("BEGIN IMMEDIATE"));
  return Transaction(database);
}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

Transaction::~Transaction() {
  if (database_ != nullptr) {
    // SQLite rolls back by itself where this fails: there is nothing left to tell.
    (void)database_->execute("ROLLBACK");
  }
}

Status Transaction::commit() {
  ROTOR_RETURN_IF_ERROR(database_->execute("COMMIT"));
  database_ = nullptr;
  return {};
}

}  // namespace rotor::coordinator
