#include "coordinator/store/sqlite.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor::coordinator {
namespace {

using testing::TemporaryDirectory;

TEST(Sqlite, KeepsBytesAndNumbers) {
  const TemporaryDirectory directory;
  Database database;
  ASSERT_OK(database.open(directory / "a.sqlite"));
  ASSERT_OK(database.execute("CREATE TABLE t (i INTEGER, r REAL, s TEXT, b BLOB, n INTEGER)"));
  const std::string bytes("\0\xff\0", 3);
  Result<Statement> insert = database.prepare("INSERT INTO t VALUES (?,?,?,?,?)");
  ASSERT_OK(insert);
  ASSERT_OK(insert->bind(1, int64_t{-7})
                .bind(2, 0.1)
                .bind(3, "text")
                .bind_blob(4, bytes)
                .bind_null(5)
                .run());
  Result<Statement> select = database.prepare("SELECT * FROM t");
  ASSERT_OK(select);
  const Result<bool> row = select->step();
  ASSERT_OK(row);
  ASSERT_TRUE(*row);
  EXPECT_EQ(select->integer(0), -7);
  EXPECT_EQ(select->real(1), 0.1);
  EXPECT_EQ(select->text(2), "text");
  EXPECT_EQ(select->blob(3), bytes);
  EXPECT_TRUE(select->is_null(4));
}

TEST(Sqlite, RollsBackWhatIsNotCommitted) {
  const TemporaryDirectory directory;
  Database database;
  ASSERT_OK(database.open(directory / "a.sqlite"));
  ASSERT_OK(database.execute("CREATE TABLE t (i INTEGER)"));
  {
    Result<Transaction> transaction = Transaction::begin(&database);
    ASSERT_OK(transaction);
    ASSERT_OK(database.execute("INSERT INTO t VALUES (1)"));
  }
  EXPECT_EQ(*database.query_integer("SELECT count(*) FROM t"), 0);
  {
    Result<Transaction> transaction = Transaction::begin(&database);
    ASSERT_OK(transaction);
    ASSERT_OK(database.execute("INSERT INTO t VALUES (1)"));
    ASSERT_OK(transaction->commit());
  }
  EXPECT_EQ(*database.query_integer("SELECT count(*) FROM t"), 1);
}

TEST(Sqlite, WritesThroughToTheDisk) {
  const TemporaryDirectory directory;
  Database database;
  ASSERT_OK(database.open(directory / "a.sqlite"));
  EXPECT_EQ(*database.query_text("PRAGMA journal_mode"), "wal");
  EXPECT_EQ(*database.query_integer("PRAGMA synchronous"), 2);
  EXPECT_EQ(*database.query_integer("PRAGMA foreign_keys"), 1);
}

TEST(Sqlite, NamesTheFileInErrors) {
  const TemporaryDirectory directory;
  directory.put("a.sqlite", std::string(4096, 'x'));
  Database damaged;
  EXPECT_FAILS(damaged.open(directory / "a.sqlite"), Code::kDataLoss, "STORE_CORRUPT",
               directory / "a.sqlite");
  Database database;
  ASSERT_OK(database.open(directory / "b.sqlite"));
  EXPECT_FAILS(database.execute("SELECT nonsense"), Code::kInternal, "STORE_ERROR", "b.sqlite");
  Database unreachable;
  EXPECT_FAILS(unreachable.open(directory / "no/such/c.sqlite"), Code::kPermissionDenied,
               "PERMISSION_DENIED", "c.sqlite");
}

}  // namespace
}  // namespace rotor::coordinator
