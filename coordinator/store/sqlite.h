// SQLite behind RAII: a connection, a statement, a transaction. The only place that knows its
// result codes.
//
// Thread-safety: one thread at a time per Database. Errors: DATA_LOSS, reason STORE_CORRUPT, for a
// file that is damaged or no database; RESOURCE_EXHAUSTED, DISK_FULL; UNAVAILABLE, IO_ERROR;
// INTERNAL, STORE_ERROR, for the rest. All name the file.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "quant/base/status.h"

namespace rotor::coordinator {

class Database;

/// A prepared statement, finalized by the destructor. Parameters and columns count from 1 and 0, as
/// in SQLite; a failed bind shows in step().
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  Statement& bind(int index, int64_t value);
  Statement& bind(int index, double value);
  Statement& bind(int index, std::string_view text);
  Statement& bind_blob(int index, std::string_view bytes);
  Statement& bind_null(int index);

  /// True: there is a row to read. False: done.
  Result<bool> step();
  /// step() for a statement that returns no rows.
  Status run();

  int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;
  std::string blob(int column) const;
  bool is_null(int column) const;

 private:
  friend class Database;
  Statement(Database* database, sqlite3_stmt* statement);
  void note(int code);

  Database* database_;
  sqlite3_stmt* statement_;
  int bind_error_ = SQLITE_OK;
};

class Database {
 public:
  Database() = default;
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  /// Opens or creates the file: WAL, synchronous=FULL, foreign keys on.
  Status open(const std::string& path);
  Status execute(const char* sql);
  Result<Statement> prepare(std::string_view sql);
  /// The first column of the first row.
  Result<int64_t> query_integer(std::string_view sql);
  Result<std::string> query_text(std::string_view sql);
  int64_t last_insert_id() const;
  const std::string& path() const { return path_; }

 private:
  friend class Statement;
  Status error(int code, std::string_view what) const;

  sqlite3* handle_ = nullptr;
  std::string path_;
};

/// Rolls back unless commit() succeeded.
class Transaction {
 public:
  static Result<Transaction> begin(Database* database);
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  Status commit();

 private:
  explicit Transaction(Database* database) : database_(database) {}
  Database* database_;  // null once ended
};

}  // namespace rotor::coordinator
